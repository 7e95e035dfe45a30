/** Progress as lines of text: state in, lines out. */
import { formatBytes } from '../util/byte-size.ts'
import { formatDuration } from '../util/duration.ts'

export interface ProgressLook {
  /** Characters in a line. */
  readonly columns: number
  readonly hasColor: boolean
}

/** Something on its way. Bytes; `totalBytes` undefined while it is not known. */
export interface Progress {
  readonly name: string
  readonly bytes: number
  readonly totalBytes: number | undefined
  readonly bytesPerSecond?: number | undefined
  readonly fromOrigin?: number | undefined
  readonly fromPeers?: number | undefined
}

const GAP = '  '
const MAX_BAR = 30
const MIN_BAR = 8
const MAX_NAME = 40
const MIN_NAME = 16
const NAME_SHARE = 0.6
/** Widths of `100 %`, `9.99 MiB of 9.99 GiB`, `9.99 MiB/s` and `59 min 59 s left`. */
const PERCENT = 5
const SIZES = 20
const RATE = 10
const LEFT = 16
const FULL = '━'
const EMPTY = '─'
const GREEN = '\u001b[32m'
const DIM = '\u001b[2m'
const PLAIN = '\u001b[0m'

/** `name  ━━━━────  62 %  41 MiB of 66 MiB  12 MiB/s  2 s left`, as far as it fits. Bars of one screen stand under each other. */
export function progressLine(progress: Progress, { columns, hasColor }: ProgressLook, indent = 0): string {
  const { name, bytes, totalBytes, bytesPerSecond } = progress
  const left = secondsLeft(progress)
  const share = totalBytes === undefined ? undefined : shareOf(bytes, totalBytes)
  const cells = [
    share === undefined ? '' : `${Math.floor(share * 100)} %`.padStart(PERCENT),
    totalBytes === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
    bytesPerSecond ? `${formatBytes(bytesPerSecond)}/s` : '',
    left === undefined ? '' : `${formatDuration(left * 1000)} left`,
  ]
  const widths = [PERCENT, SIZES, RATE, LEFT]
  while (widths.length > 2 && MIN_NAME + MIN_BAR + widthOf(widths) > columns) widths.pop()
  const room = columns - widthOf(widths)
  const nameWidth = Math.max(MIN_NAME, Math.min(MAX_NAME, Math.floor(room * NAME_SHARE)))
  const barWidth = Math.max(0, Math.min(MAX_BAR, room - nameWidth))
  const drawn = share === undefined ? ' '.repeat(barWidth) : bar(share, barWidth, hasColor)
  const figures = widths.map((width, index) => (cells[index] ?? '').padEnd(width)).join(GAP)
  const shown = `${' '.repeat(indent)}${fit(name, nameWidth - indent)}`
  return [shown, ...(barWidth < MIN_BAR ? [] : [drawn]), figures].join(GAP).trimEnd()
}

/** With the gaps around the cells and the bar, and the last column, which a terminal may not have. */
function widthOf(cells: readonly number[]): number {
  return cells.reduce((sum, width) => sum + width + GAP.length, 0) + GAP.length + 1
}

/** @param share 0 to 1 */
export function bar(share: number, width: number, hasColor: boolean): string {
  const full = Math.floor(Math.min(1, Math.max(0, share)) * width)
  const [done, rest] = [FULL.repeat(full), EMPTY.repeat(width - full)]
  return hasColor ? `${GREEN}${done}${DIM}${rest}${PLAIN}` : `${done}${rest}`
}

/** `26 % from registries, 74 % from peers`; undefined when nothing came. */
export function sourcesText(fromOrigin: number, fromPeers: number, fromHere = 0): string | undefined {
  const total = fromOrigin + fromPeers + fromHere
  if (total === 0) return undefined
  const parts: [bytes: number, name: string][] = [
    [fromHere, 'was here'],
    [fromOrigin, 'from registries'],
    [fromPeers, 'from peers'],
  ]
  const some = parts.filter(([bytes]) => bytes > 0)
  return some.map(([bytes, name]) => `${percent(bytes, total)} ${name}`).join(', ')
}

/** Seconds until it is complete at this rate; undefined when that says nothing. */
export function secondsLeft({ bytes, totalBytes, bytesPerSecond }: Progress): number | undefined {
  if (totalBytes === undefined || bytesPerSecond === undefined || bytesPerSecond <= 0) return undefined
  return bytes >= totalBytes ? undefined : Math.ceil((totalBytes - bytes) / bytesPerSecond)
}

/** The first twelve digits, as container engines show them. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha\d+:/, '').slice(0, 12)
}

/** The beginning of what is too long is left out: names differ in their ends. */
function fit(text: string, width: number): string {
  return text.length > width ? `…${text.slice(text.length - width + 1)}` : text.padEnd(width)
}

function shareOf(bytes: number, total: number): number {
  return total === 0 ? 1 : Math.min(1, bytes / total)
}

/** Of a part that is there: neither 0 % nor, beside another, 100 %. */
function percent(bytes: number, total: number): string {
  const share = (bytes / total) * 100
  const rounded = bytes === total ? 100 : Math.min(99, Math.max(1, Math.round(share)))
  return `${rounded} %`
}
