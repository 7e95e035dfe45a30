import type { ChunkRange } from '../../blob/ports.ts'

export interface RangeBounds {
  /** Chunks of the blob: nothing lies beyond. */
  readonly count: number
  readonly maxRanges: number
}

/** What of it is within the bounds; the rest is left out. */
export function cutRanges(ranges: readonly ChunkRange[], { count, maxRanges }: RangeBounds): ChunkRange[] {
  const kept: ChunkRange[] = []
  for (const { from, to } of ranges.slice(0, maxRanges)) {
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) continue
    const cut = { from: Math.max(0, from), to: Math.min(count, to) }
    if (cut.from < cut.to) kept.push(cut)
  }
  return kept
}

export function includesChunk(ranges: readonly ChunkRange[], chunk: number): boolean {
  return ranges.some(({ from, to }) => chunk >= from && chunk < to)
}

/** Neighbours in the list become one range. */
export function rangesOf(chunks: Iterable<number>): ChunkRange[] {
  const ranges: { from: number; to: number }[] = []
  for (const chunk of chunks) {
    const last = ranges.at(-1)
    if (last?.to === chunk) last.to = chunk + 1
    else ranges.push({ from: chunk, to: chunk + 1 })
  }
  return ranges
}

/** The chunks one by one, each as often as it is named. */
export function* chunksIn(ranges: readonly ChunkRange[]): Generator<number, void, void> {
  for (const { from, to } of ranges) for (let chunk = from; chunk < to; chunk++) yield chunk
}
