/** Running transfers as text. Pure. */
import type { TransferDetail, TransfersAnswer } from '../facade/transfers-api.ts'
import { formatBytes } from '../util/byte-size.ts'
import { formatDuration } from '../util/duration.ts'
import { plain, table } from './output.ts'
import { type ProgressLook, progressLine, secondsLeft, shortDigest, sourcesText } from './progress.ts'

const HEAD = ['BLOB', 'IMAGE', 'DONE', 'OF', 'RATE', 'LEFT', 'SOURCES', 'READERS']
const NUMBERS = [2, 3, 4, 5, 7]
const UNKNOWN = '?'

export function transfersTable({ transfers }: TransfersAnswer): string {
  if (transfers.length === 0) return 'Nothing is on its way.\n'
  const rows = transfers.map((transfer) => {
    const { digest, size, bytesPerSecond, readers, bytes } = transfer
    const done = bytesHere(transfer)
    const left = secondsLeft({ name: digest, bytes: done, totalBytes: size, bytesPerSecond })
    return [
      shortDigest(digest),
      nameOf(transfer),
      formatBytes(done),
      size === undefined ? UNKNOWN : formatBytes(size),
      `${formatBytes(bytesPerSecond)}/s`,
      left === undefined ? UNKNOWN : formatDuration(left * 1000),
      sourcesText(bytes.origin, bytes.peer, bytes.store) ?? 'nothing yet',
      String(readers),
    ]
  })
  return table(HEAD, rows, NUMBERS)
}

/** A bar for everything together, and one for each. */
export function transfersLines({ transfers }: TransfersAnswer, look: ProgressLook): string[] {
  if (transfers.length === 0) return ['Nothing is on its way.']
  const sum = (of: (transfer: TransferDetail) => number): number => transfers.reduce((total, one) => total + of(one), 0)
  const sources = sourcesText(
    sum(({ bytes }) => bytes.origin),
    sum(({ bytes }) => bytes.peer),
    sum(({ bytes }) => bytes.store),
  )
  const total = {
    name: `${transfers.length} transfers`,
    bytes: sum(bytesHere),
    totalBytes: sum((transfer) => transfer.size ?? bytesHere(transfer)),
    bytesPerSecond: sum(({ bytesPerSecond }) => bytesPerSecond),
  }
  return [
    progressLine(total, look),
    ...transfers.map((transfer) =>
      progressLine(
        {
          name: `${nameOf(transfer)} ${shortDigest(transfer.digest)}`,
          bytes: bytesHere(transfer),
          totalBytes: transfer.size,
          bytesPerSecond: transfer.bytesPerSecond,
        },
        look,
        2,
      ),
    ),
    ...(sources === undefined ? [] : [`  ${sources}`]),
  ]
}

/** Verified ones; without a size there are no chunks, and it is what came. */
function bytesHere({ verifiedChunks, chunkBytes = 0, size, bytes }: TransferDetail): number {
  if (size === undefined) return bytes.store + bytes.origin + bytes.peer
  return Math.min(size, verifiedChunks * chunkBytes)
}

function nameOf({ names, registry }: TransferDetail): string {
  return plain(names[0] ?? registry)
}
