/** How a blob is cut into chunks: a function of its size alone, so that all agents agree (DESIGN.md §7). */

export const MIN_CHUNK_BYTES = 256 * 1024
export const MAX_CHUNK_BYTES = 4 * 1024 * 1024
const TARGET_CHUNKS = 128

export interface ChunkPlan {
  /** Bytes of the blob. */
  readonly size: number
  /** Bytes of every chunk but the last: a power of two from 256 KiB to 4 MiB. */
  readonly chunkBytes: number
  /** Number of chunks; an empty blob has one empty chunk. */
  readonly count: number
}

/** @param size bytes of the blob, a safe non-negative integer */
export function planChunks(size: number): ChunkPlan {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`not a blob size: ${size}`)
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, size / TARGET_CHUNKS)))
  const chunkBytes = Math.min(MAX_CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, wanted))
  return { size, chunkBytes, count: Math.max(1, Math.ceil(size / chunkBytes)) }
}

/** First byte of a chunk. */
export function chunkStart(plan: ChunkPlan, index: number): number {
  return index * plan.chunkBytes
}

/** The byte after the last one of a chunk. */
export function chunkEnd(plan: ChunkPlan, index: number): number {
  return Math.min(plan.size, (index + 1) * plan.chunkBytes)
}

/** The chunk that holds the byte at `position`; for the end of the blob, its last chunk. */
export function chunkAt(plan: ChunkPlan, position: number): number {
  return Math.min(plan.count - 1, Math.floor(position / plan.chunkBytes))
}
