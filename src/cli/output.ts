import { formatDuration } from '../util/duration.ts'

const GAP = '  '

/** Rows under a head, in columns as wide as they have to be. @param right indexes of the columns to align right */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    widths
      .map((width, column) =>
        right.includes(column) ? (row[column] ?? '').padStart(width) : (row[column] ?? '').padEnd(width),
      )
      .join(GAP)
      .trimEnd()
  return `${all.map(line).join('\n')}\n`
}

/** Names and values, the values under each other. */
export function facts(pairs: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return `${pairs.map(([name, value]) => `${name.padEnd(width)}${GAP}${value}`).join('\n')}\n`
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** `5 min 3 s ago`. @param at and now: milliseconds since the epoch */
export function ago(at: number, now: number): string {
  return `${formatDuration(now - at)} ago`
}

/** `in 5 min 3 s`. @param at and now: milliseconds since the epoch */
export function fromNow(at: number, now: number): string {
  return at <= now ? 'now' : `in ${formatDuration(at - now)}`
}

/** What another agent said of itself, without what a terminal would obey. */
export function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
