/** A registry's hosts.toml of containerd: https://github.com/containerd/containerd/blob/main/docs/hosts.md */
import { appendBlock, insertLines, linesOf } from './lines.ts'
import { isMirror } from './mirror.ts'
import { refused } from './setup-error.ts'
import type { Mirror } from './setup-types.ts'
import { checkedEdit, isTomlTable, parseToml, tomlString } from './toml-file.ts'

/** The mirror, before the hosts that are there. @throws ShoalError SETUP_REFUSED */
export function addHost(path: string, text: string, mirror: Mirror): string {
  const file = parseToml(path, text)
  const { host = {} } = file.value
  if (!isTomlTable(host)) throw refused(`${path}: host is no table. Nothing was changed.`)
  if (Object.keys(host).some((url) => isMirror(mirror, url))) return text
  const block = hostBlock(mirror)
  const inline = file.pairs.some(({ key, table }) => key[0] === 'host' && table.length < 2)
  if (inline) throw refused(`${path} has its hosts in one line. Write before them, by hand:\n${block}`)
  const first = file.tables.find(({ key }) => key[0] === 'host')
  const edited =
    first === undefined ? appendBlock(text, block) : insertLines(text, aboveComments(text, first.line), `${block}\n`)
  return checkedEdit(file, edited, ['host', mirror.url], block)
}

/** The first line of the comments that stand right above `line`: they belong to it. */
function aboveComments(text: string, line: number): number {
  const lines = linesOf(text)
  let first = line
  while (first > 0 && lines[first - 1]?.trimStart().startsWith('#')) first -= 1
  return first
}

export function hostBlock(mirror: Mirror): string {
  return `[host.${tomlString(mirror.url)}]\n  capabilities = ["pull", "resolve"]\n`
}
