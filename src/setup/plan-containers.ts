import { posix } from 'node:path'
import { hasCode } from '../errors.ts'
import { DOCKER_HUB } from '../oci/reference.ts'
import { appendBlock } from './lines.ts'
import {
  entryWithMirror,
  plainEntry,
  type RegistryEntry,
  registryEntries,
  startsWithMirror,
} from './registries-conf.ts'
import { refused } from './setup-error.ts'
import type { Plan, PlanInit, SetupFiles } from './setup-types.ts'

const REGISTRIES_CONF = '/etc/containers/registries.conf'
export const SHOAL_CONF = '/etc/containers/registries.conf.d/50-shoal.conf'

const HEAD = '# by `shoal setup`; `shoal setup podman --undo` (or crio) takes it back\n'

/**
 * A drop-in with a `[[registry]]` for each registry. It replaces what earlier files say of the same registry, so that is
 * repeated in it; what later files say can't be replaced.
 */
export function planContainers(files: SetupFiles, init: PlanInit): Plan {
  const path = init.file ?? SHOAL_CONF
  const before = files.read(path)
  const dir = posix.dirname(path)
  const main = init.file === undefined ? REGISTRIES_CONF : posix.join(dir, '../registries.conf')
  const dropIns = files.names(dir).filter((name) => name.endsWith('.conf') && name !== posix.basename(path))
  const isLater = (other: string): boolean => other !== main && other > path
  const entries = new Map<string, RegistryEntry>()
  const sources = [main, ...dropIns.map((name) => posix.join(dir, name)), path]
  for (const source of sources.toSorted((a, b) => Number(isLater(a)) - Number(isLater(b)))) {
    for (const entry of registryEntries(source, files.read(source) ?? '')) entries.set(entry.prefix, entry)
  }

  const now = files.isSetUp(path) ? registryEntries(path, files.readNow(path) ?? '') : []
  const wanted = init.registries ?? [...new Set([DOCKER_HUB, ...init.knownRegistries, ...entries.keys()])]
  const notes: string[] = []
  const blocks: string[] = []
  for (const registry of new Set([...wanted, ...now.map(({ prefix }) => prefix)])) {
    const entry = entries.get(registry) ?? plainEntry(registry)
    const outcome = blockOf(entry, path, isLater(entry.path), init)
    if (outcome === undefined) continue
    if ('block' in outcome) blocks.push(outcome.block)
    else if (init.registries?.includes(registry)) throw refused(outcome.why)
    else notes.push(outcome.why)
  }
  if (blocks.length === 0) return { files: before === undefined ? [] : [{ path, before, after: before }], notes }
  const start = before === undefined || before.trim() === '' ? (before ?? '') + HEAD : before
  const after = blocks.reduce(appendBlock, start)
  return { files: [{ path, before, after }], notes }
}

type Outcome = { readonly block: string } | { readonly why: string } | undefined

function blockOf(entry: RegistryEntry, path: string, isLater: boolean, init: PlanInit): Outcome {
  const { prefix } = entry
  if (startsWithMirror(entry, init.mirror) || entry.table['blocked'] === true) return undefined
  if (prefix.startsWith('*.'))
    return { why: `${prefix} in ${entry.path} stands for many registries: name each with --registry.` }
  try {
    const block = entryWithMirror(entry, init.mirror, init)
    if (entry.path !== path && !isLater) return { block }
    return { why: `${entry.path} has ${prefix} and is not overridden by ${path}. Write there by hand:\n${block}` }
  } catch (error) {
    if (!hasCode(error, 'SETUP_REFUSED', 'NAME_INVALID')) throw error
    return { why: `${prefix} gets no mirror: ${error.message}` }
  }
}
