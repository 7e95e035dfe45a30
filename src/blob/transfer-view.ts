import type { Digest } from '../oci/digest.ts'
import { chunkEnd, chunkStart } from './chunk-plan.ts'
import type { Provenance } from './chunk-provenance.ts'
import type { Filling } from './filling.ts'

/** What people see of a chunk. Verified ones by where they came from; `coming`: it arrives, or waits for its check. */
export type ChunkMark = Provenance | 'coming' | 'missing'

/** A mark, and how many neighbouring chunks have it. */
export type ChunkMarks = readonly [mark: ChunkMark, count: number]

/** A transfer as people see it. */
export interface TransferView {
  readonly digest: Digest
  /** The registry it is fetched from. */
  readonly registry: string
  /** Bytes; undefined while it is not known. */
  readonly size: number | undefined
  readonly verifiedChunks: number
  readonly chunks: number
  /** Bytes of every chunk but the last; undefined while the size is. */
  readonly chunkBytes: number | undefined
  readonly readers: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** Bytes that came, those thrown away among them; `store`: that an earlier transfer had left, as far as they are verified. */
  readonly bytes: { readonly store: number; readonly origin: number; readonly peer: number }
  /** Received of late. */
  readonly bytesPerSecond: number
  /** All chunks in order; empty while the size is not known. */
  readonly chunkMap: readonly ChunkMarks[]
}

/** As `TransferView`. */
export function viewOfChunks(filling: Filling): Pick<TransferView, 'chunkMap'> & { readonly storeBytes: number } {
  const { chunks, provenance, partial, runs } = filling
  const arriving = runs.onItsWay.arriving()
  const chunkMap: [ChunkMark, number][] = []
  let storeBytes = 0
  for (let index = 0; index < chunks.count; index++) {
    const state = chunks.of(index)
    const absent = arriving.has(index) ? 'coming' : 'missing'
    const here = state === 'verified' ? (provenance.of(index) ?? 'coming') : 'coming'
    const mark = state === 'absent' ? absent : here
    if (mark === 'store') storeBytes += chunkEnd(partial.plan, index) - chunkStart(partial.plan, index)
    const last = chunkMap.at(-1)
    if (last?.[0] === mark) last[1] += 1
    else chunkMap.push([mark, 1])
  }
  return { chunkMap, storeBytes }
}
