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

const MAX_BAR = 30
const MIN_BAR = 8
const MIN_NAME = 12
const FULL = '━'
const EMPTY = '─'
const GREEN = '\u001b[32m'
const DIM = '\u001b[2m'
const PLAIN = '\u001b[0m'

/** `name  ━━━━────  62 %  41 MiB of 66 MiB  12 MiB/s  2 s left`, as far as it fits; the name is cut first. */
export function progressLine(progress: Progress, { columns, hasColor }: ProgressLook, indent = 0): string {
  const { name, bytes, totalBytes } = progress
  const left = secondsLeft(progress)
  const share = totalBytes === undefined ? undefined : shareOf(bytes, totalBytes)
  const parts = [
    share === undefined ? '' : `${Math.floor(share * 100)} %`.padStart(5),
    totalBytes === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
    ...(progress.bytesPerSecond ? [`${formatBytes(progress.bytesPerSecond)}/s`] : []),
    ...(left === undefined ? [] : [`${formatDuration(left * 1000)} left`]),
  ].filter((part) => part !== '')
  while (parts.length > 1 && indent + MIN_NAME + parts.join('  ').length + 3 > columns) parts.pop()
  const figures = parts.join('  ')
  const room = columns - indent - figures.length - 5
  const nameWidth = Math.max(MIN_NAME, Math.min(room - MIN_BAR, Math.max(24, room - MAX_BAR)))
  const barWidth = Math.min(MAX_BAR, room - nameWidth)
  const shown = `${' '.repeat(indent)}${fit(name, nameWidth)}`
  if (share === undefined || barWidth < MIN_BAR) return `${shown}  ${figures}`
  return `${shown}  ${bar(share, barWidth, hasColor)}  ${figures}`
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
