/**
 * registries.conf and its drop-ins, as podman, skopeo and CRI-O read them:
 * https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
 */
import { looksLikeHost, parseName } from '../oci/reference.ts'
import { refused } from './setup-error.ts'
import type { Mirror } from './setup-types.ts'
import { isTomlTable, parseToml, type TomlTable, tomlString, valueAt } from './toml-file.ts'

/** A `[[registry]]`. One in a later file replaces the whole of one with the same prefix in an earlier file. */
export interface RegistryEntry {
  readonly path: string
  readonly prefix: string
  readonly location: string
  readonly table: TomlTable
  readonly mirrors: readonly MirrorEntry[]
}

interface MirrorEntry {
  readonly location: string
  readonly table: TomlTable
}

const ENTRY_KEYS = ['prefix', 'location', 'insecure', 'blocked', 'mirror-by-digest-only']
const MIRROR_KEYS = ['location', 'insecure', 'pull-from-mirror']

/** @throws ShoalError SETUP_REFUSED */
export function registryEntries(path: string, text: string): RegistryEntry[] {
  const { value } = parseToml(path, text)
  const { registry = [] } = value
  if (!Array.isArray(registry) || !registry.every(isTomlTable)) throw refused(`${path}: registry is no [[registry]].`)
  return [...oldEntries(path, value), ...registry.map((table) => entryOf(path, table))]
}

/** `[registries.insecure]` and `[registries.block]`, the form before `[[registry]]`. */
function oldEntries(path: string, value: TomlTable): RegistryEntry[] {
  return (['insecure', 'block'] as const).flatMap((kind) => {
    const names = valueAt(value, ['registries', kind, 'registries'])
    const texts = Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
    const setting = kind === 'block' ? { blocked: true } : { insecure: true }
    return texts.map((name) => ({
      path,
      prefix: name,
      location: name,
      table: { location: name, ...setting },
      mirrors: [],
    }))
  })
}

function entryOf(path: string, table: TomlTable): RegistryEntry {
  const location = textOf(table['location'])
  const mirrors = Array.isArray(table['mirror']) ? table['mirror'].filter(isTomlTable) : []
  return {
    path,
    prefix: textOf(table['prefix']) || location,
    location,
    table,
    mirrors: mirrors.map((mirror) => ({ location: textOf(mirror['location']), table: mirror })),
  }
}

/** What the registry is without any setting. */
export function plainEntry(registry: string): RegistryEntry {
  return { path: '', prefix: registry, location: registry, table: { location: registry }, mirrors: [] }
}

/** Whether the mirror is asked first already. */
export function startsWithMirror({ mirrors }: RegistryEntry, mirror: Mirror): boolean {
  return isOurs(mirrors[0]?.location ?? '', mirror)
}

/**
 * The `[[registry]]` with the mirror before its own ones.
 * @throws ShoalError SETUP_REFUSED for settings that are not known here, NAME_INVALID as `mirrorLocation`
 */
export function entryWithMirror(entry: RegistryEntry, mirror: Mirror, rules: LocationRules): string {
  const others = entry.mirrors.filter(({ location }) => !isOurs(location, mirror))
  const insecure = mirror.plainHttp ? ['insecure = true'] : []
  const ours = [`location = ${tomlString(mirrorLocation(entry.location, mirror, rules))}`, ...insecure]
  const lines = ['[[registry]]', ...linesOfTable(entry, entry.table, ENTRY_KEYS), '[[registry.mirror]]', ...ours]
  for (const { table } of others) lines.push('[[registry.mirror]]', ...linesOfTable(entry, table, MIRROR_KEYS))
  return `${lines.join('\n')}\n`
}

export interface LocationRules {
  readonly defaultRegistry: string
  readonly knownRegistries: readonly string[]
}

/**
 * Where the agent has what is at `location`: the registry is the first element of the path, a port in it stands behind
 * `_`, since a reference has no `:` there. The agent's default registry needs no path.
 * @throws ShoalError NAME_INVALID when no path can say it
 */
export function mirrorLocation(location: string, mirror: Mirror, rules: LocationRules): string {
  if (location === rules.defaultRegistry) return mirror.address
  const [host = '', ...rest] = location.split('/')
  const path = parseName([host.toLowerCase().replace(/:(\d+)$/, '_$1'), ...rest].join('/'))
  const known = rules.knownRegistries.includes(host) && host.includes(':')
  if (!looksLikeHost(host.replace(/:\d+$/, '')) && !known) {
    throw refused(`the agent can't tell ${host} from a name: add it to origin.registries, with its port`)
  }
  return `${mirror.address}/${path}`
}

function isOurs(location: string, mirror: Mirror): boolean {
  return location === mirror.address || location.startsWith(`${mirror.address}/`)
}

function linesOfTable(entry: RegistryEntry, table: TomlTable, known: readonly string[]): string[] {
  const strange = Object.keys(table).find((key) => !known.includes(key) && key !== 'mirror')
  if (strange !== undefined) throw refused(`${entry.path}: ${entry.prefix} has a setting that is not known: ${strange}`)
  return known.flatMap((key) => {
    const value = table[key]
    if (typeof value === 'boolean') return [`${key} = ${String(value)}`]
    return typeof value === 'string' ? [`${key} = ${tomlString(value)}`] : []
  })
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
