/** What one row of the table runs: the options of `npm run bench:fleet`, and the presets for the rows of the figures. */
import { parseArgs } from 'node:util'
import { parseByteSize } from '../../src/util/byte-size.ts'
import { closest } from '../../src/util/closest.ts'
import { parseDuration } from '../../src/util/duration.ts'
import { parseBitRate } from './bit-rate.ts'
import { decimal, integer, oneOf, parsed, parseShare, parseZones, some, UsageError } from './option-values.ts'

const SYSTEMS = ['shoal', 'direct', 'registry-proxy'] as const
const CUTS = ['down', 'drop'] as const
const MAX_HOSTS = 200

export interface FleetPlan {
  readonly name: string
  readonly system: (typeof SYSTEMS)[number]
  readonly hosts: number
  /** Of all layers together. */
  readonly bytes: number
  readonly layers: number
  /** Bits per second, each way. */
  readonly hostRate: number
  readonly originRate: number
  /** Time between the first host's start and the last one's. */
  readonly spreadMs: number
  /** So many hosts end without a word when this share of all bytes has arrived. */
  readonly kill: { readonly count: number; readonly share: number } | undefined
  /** So many hosts have links of this share of the rate. */
  readonly slow: { readonly count: number; readonly share: number } | undefined
  /** The origin is in the first one. `rate` is what comes into each of the others. */
  readonly zones: { readonly count: number; readonly rate: number } | undefined
  /** The origin's link goes down when it has sent so many copies; 0: before the start. */
  readonly cutOriginAfter: number | undefined
  readonly cut: (typeof CUTS)[number]
  /** So many hosts have the image before the others want it. */
  readonly seeded: number
  readonly mtu: number
  readonly queueMs: number
  /** TCP's congestion control; undefined: what this machine has. */
  readonly congestion: string | undefined
  /** Of the agents, as for `shoal agent --set`. */
  readonly set: readonly string[]
}

export interface FleetCommand {
  readonly plans: readonly FleetPlan[]
  readonly runs: number
  readonly seed: string
  readonly json: string | undefined
  readonly svg: string | undefined
}

const DEFAULTS = {
  hosts: '16',
  size: '128MiB',
  layers: '4',
  'host-rate': '50mbit',
  'origin-rate': '100mbit',
  system: 'shoal',
  runs: '3',
  spread: '0s',
  kill: '',
  slow: '',
  zones: '',
  'cut-origin-after': '',
  cut: 'down',
  seeded: '0',
  mtu: '1500',
  queue: '50ms',
  congestion: '',
  seed: '',
  json: '',
  svg: '',
}

type Values = typeof DEFAULTS

export const SCENARIOS: Readonly<Record<string, Partial<Values>>> = {
  'cold-16': {},
  'one-layer': { layers: '1' },
  // so slow that the CPU is no bound
  'cold-48': { hosts: '48', 'host-rate': '10mbit', 'origin-rate': '20mbit' },
  'spread-20s': { spread: '20s' },
  'kill-4': { kill: '4@33%' },
  'origin-cut': { 'cut-origin-after': '1' },
  'slow-host': { slow: '1@0.1' },
  'two-zones': { zones: '2@20mbit' },
  seeded: { seeded: '1', 'cut-origin-after': '0' },
}

/** @param freshSeed taken when none is given @throws UsageError */
export function parseCommand(args: readonly string[], freshSeed: string): FleetCommand {
  const { given, scenarios, set } = parseOptions(args)
  const plans = (scenarios ?? [undefined]).map((name) => {
    const preset = name === undefined ? {} : SCENARIOS[name]
    if (preset === undefined)
      throw new UsageError(`no scenario ${name}; there are: ${Object.keys(SCENARIOS).join(', ')}`)
    return planOf(name ?? 'custom', { ...DEFAULTS, ...preset, ...given }, set)
  })
  const values = { ...DEFAULTS, ...given }
  return {
    plans,
    runs: integer('runs', values.runs, 1, 100),
    seed: values.seed || freshSeed,
    json: values.json || undefined,
    svg: values.svg || undefined,
  }
}

function parseOptions(args: readonly string[]): {
  given: Partial<Values>
  scenarios: readonly string[] | undefined
  set: readonly string[]
} {
  const names = Object.keys(DEFAULTS) as (keyof Values)[]
  const texts = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { ...texts, scenario: { type: 'string' }, set: { type: 'string', multiple: true } },
    })
    const { scenario, set = [], ...rest } = values
    return { given: rest, scenarios: scenario?.split(','), set }
  } catch (error) {
    const known = ['scenario', 'set', ...names]
    const unknown = args.map((arg) => /^--([^=]+)/.exec(arg)?.[1]).find((name) => name && !known.includes(name))
    const nearest = unknown === undefined ? undefined : closest(unknown, known)
    throw new UsageError((error as Error).message.split('. ', 1)[0] + (nearest ? ` (did you mean --${nearest}?)` : ''))
  }
}

function planOf(name: string, values: Values, set: readonly string[]): FleetPlan {
  const system = oneOf('system', values.system, SYSTEMS)
  const hosts = integer('hosts', values.hosts, 1, MAX_HOSTS)
  const plan: FleetPlan = {
    name,
    system,
    hosts,
    bytes: parsed('size', values.size, parseByteSize),
    layers: integer('layers', values.layers, 1, 100),
    hostRate: parsed('host-rate', values['host-rate'], parseBitRate),
    originRate: parsed('origin-rate', values['origin-rate'], parseBitRate),
    spreadMs: parsed('spread', values.spread, parseDuration),
    kill: some('kill', values.kill, parseShare),
    slow: some('slow', values.slow, parseShare),
    zones: some('zones', values.zones, parseZones),
    cutOriginAfter:
      values['cut-origin-after'] === '' ? undefined : decimal('cut-origin-after', values['cut-origin-after']),
    cut: oneOf('cut', values.cut, CUTS),
    seeded: integer('seeded', values.seeded, 0, hosts - 1),
    mtu: integer('mtu', values.mtu, 576, 65_521),
    queueMs: parsed('queue', values.queue, parseDuration),
    congestion: values.congestion || undefined,
    set,
  }
  const special = plan.seeded + (plan.kill?.count ?? 0) + (plan.slow?.count ?? 0)
  if (special >= hosts) throw new UsageError('seeded, slow and killed hosts leave none that is measured')
  if (plan.seeded > 0 && system !== 'shoal') throw new UsageError('only agents of shoal can be seeded')
  if (plan.cutOriginAfter === 0 && plan.seeded === 0)
    throw new UsageError('--cut-origin-after 0: nobody would have the image, use --seeded as well')
  if (plan.bytes < plan.layers) throw new UsageError('--size: there is less than a byte for each layer')
  return plan
}
