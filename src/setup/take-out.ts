import { diffArrays } from 'diff'
import { linesOf } from './lines.ts'

/**
 * Undoes in `now` what made `after` of `before`: each run of lines that was added is looked for as a whole.
 * @returns undefined when a run is not there, or not only once: somebody has changed it
 */
export function takeOutLines(before: string, after: string, now: string): string | undefined {
  let lines = linesOf(now)
  for (const { removed, added } of replacements(linesOf(before), linesOf(after)).toReversed()) {
    const at = onlyPlace(lines, added)
    if (at === undefined) return undefined
    const rest = lines.slice(at + added.length)
    const back = rest.length > 0 ? removed.map((line) => (line.endsWith('\n') ? line : `${line}\n`)) : removed
    lines = [...lines.slice(0, at), ...back, ...rest]
  }
  return lines.join('')
}

interface Replacement {
  readonly removed: readonly string[]
  readonly added: readonly string[]
}

function replacements(before: string[], after: string[]): Replacement[] {
  const found: { removed: string[]; added: string[] }[] = []
  let open = false
  for (const { value, added, removed } of diffArrays(before, after)) {
    if (!added && !removed) {
      open = false
      continue
    }
    if (!open) found.push({ removed: [], added: [] })
    open = true
    found.at(-1)?.[added ? 'added' : 'removed'].push(...value)
  }
  return found
}

function onlyPlace(lines: readonly string[], run: readonly string[]): number | undefined {
  if (run.length === 0) return undefined
  const places = lines.keys().filter((at) => run.every((line, index) => lines[at + index] === line))
  const [first, second] = places.take(2).toArray()
  return second === undefined ? first : undefined
}
