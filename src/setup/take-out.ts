import { diffArrays } from 'diff'
import { lineEnd, linesOf } from './lines.ts'

/**
 * Undoes in `now` what made `after` of `before`: each run of lines that was added is looked for as a whole.
 * @returns undefined when a run is not there, or not only once: somebody has changed it
 */
export function takeOutLines(before: string, after: string, now: string): string | undefined {
  const end = lineEnd(after)
  const isOpen = (text: string): boolean => text !== '' && !text.endsWith('\n')
  // whatever is put behind a last line without an end ends it
  const lines = ([before, after, now] as const).map((text) => linesOf(isOpen(text) ? text + end : text))
  const [old = [], made = [], left = []] = lines
  for (const { removed, added } of replacements(old, made).toReversed()) {
    const at = onlyPlace(left, added)
    if (at === undefined) return undefined
    left.splice(at, added.length, ...removed)
  }
  const isOpenAgain = isOpen(now) || (isOpen(before) && left.at(-1) === old.at(-1))
  return isOpenAgain ? left.join('').slice(0, -end.length) : left.join('')
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
