/** The options of `npm run simulate`. */
import { parseArgs } from 'node:util'
import { parseByteSize } from '../../src/util/byte-size.ts'
import { parseDuration } from '../../src/util/duration.ts'
import { parseBitRate } from '../fleet/bit-rate.ts'
import type { FleetPlan } from '../fleet/fleet-plan.ts'
import { integer, parsed, parseShare, parseZones, some, UsageError } from '../fleet/option-values.ts'

const MAX_HOSTS = 20_000
/** Agents think about what peers tell every 25 ms (`transfer-runs`); beyond so many hosts less often, and bytes travel in larger quanta: see `sim-network`. */
const MANY = 100
const COARSE = { thinkMs: 50, quantumBytes: 64 * 1024 }
const FINE = { thinkMs: 25, quantumBytes: 16 * 1024 }

const DEFAULTS = {
  hosts: '16,48',
  size: '128MiB',
  layers: '4',
  'host-rate': '50',
  'origin-rate': '100',
  latency: '1ms',
  queue: '50ms',
  spread: '0s',
  kill: '',
  slow: '',
  zones: '',
  seeded: '0',
  connections: '96',
  think: '',
  quantum: '',
  runs: '1',
  seed: '1',
  json: '',
}

/** With `--check`, unless said otherwise: links so slow that a small machine carries the fleet beside its clients. */
const CHECKED = { hosts: '16', size: '32MiB', 'host-rate': '10', 'origin-rate': '20' }

export interface SimCommand {
  readonly plans: readonly FleetPlan[]
  readonly latencyMs: number
  readonly connections: number
  readonly runs: number
  readonly seed: string
  readonly json: string | undefined
  /** The same load on the real fleet of this machine. */
  readonly isChecked: boolean
  /** Undefined: by the number of hosts. */
  readonly thinkMs: number | undefined
  readonly quantumBytes: number | undefined
}

/** @throws UsageError */
export function parseSimCommand(args: readonly string[]): SimCommand {
  const { check, ...given } = optionsOf(args)
  const values = { ...DEFAULTS, ...(check === true && CHECKED), ...given }
  const plans = values.hosts.split(',').map((hosts) => planOf(integer('hosts', hosts, 1, MAX_HOSTS), values))
  return {
    plans,
    latencyMs: parsed('latency', values.latency, parseDuration),
    connections: integer('connections', values.connections, 1, MAX_HOSTS),
    runs: integer('runs', values.runs, 1, 100),
    seed: values.seed,
    json: values.json || undefined,
    isChecked: check === true,
    thinkMs: some('think', values.think, parseDuration),
    quantumBytes: some('quantum', values.quantum, parseByteSize),
  }
}

/** How finely a fleet of this size is looked at. */
export function grainOf(hosts: number): { readonly thinkMs: number; readonly quantumBytes: number } {
  return hosts > MANY ? COARSE : FINE
}

function optionsOf(args: readonly string[]): Partial<typeof DEFAULTS> & { check?: boolean } {
  const texts = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ args: [...args], options: { ...texts, check: { type: 'boolean' } } })
    return values
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ', 1)[0])
  }
}

function planOf(hosts: number, values: typeof DEFAULTS): FleetPlan {
  const plan: FleetPlan = {
    name: `sim-${hosts}`,
    system: 'shoal',
    hosts,
    bytes: parsed('size', values.size, parseByteSize),
    layers: integer('layers', values.layers, 1, 100),
    hostRate: rateOf('host-rate', values['host-rate']),
    originRate: rateOf('origin-rate', values['origin-rate']),
    spreadMs: parsed('spread', values.spread, (text) => parseDuration(/^\d+$/.test(text) ? `${text}s` : text)),
    kill: some('kill', values.kill, countOrShare),
    slow: some('slow', values.slow, (text) => parseShare(/^\d+$/.test(text) ? `${text}@0.1` : text)),
    zones: some('zones', values.zones, parseZones),
    cutOriginAfter: undefined,
    cut: 'down',
    seeded: integer('seeded', values.seeded, 0, hosts - 1),
    mtu: 1500,
    queueMs: parsed('queue', values.queue, parseDuration),
    congestion: undefined,
    set: [],
  }
  const special = plan.seeded + (plan.kill?.count ?? 0) + (plan.slow?.count ?? 0)
  if (special >= hosts) throw new UsageError('seeded, slow and killed hosts leave none that is measured')
  if (plan.bytes < plan.layers) throw new UsageError('--size: there is less than a byte for each layer')
  return plan
}

/** `50` is 50 Mbit/s. */
function rateOf(name: string, text: string): number {
  return parsed(name, text, (value) => parseBitRate(/^\d+$/.test(value) ? `${value}mbit` : value))
}

/** `4`: at random moments; `4@33%`: when a third of all bytes has arrived. */
function countOrShare(text: string): { count: number; share: number } | undefined {
  return parseShare(/^\d+$/.test(text) ? `${text}@1` : text)
}
