/** What the admin API tells of transfers, in full. */
import type { ChunkMarks } from '../blob/transfer-view.ts'

export interface TransferDetail {
  readonly digest: string
  /** Images, or repositories, that clients asked for it by: at most a few. */
  readonly names: readonly string[]
  /** The registry it is fetched from. */
  readonly registry: string
  /** Bytes; undefined while it is not known. */
  readonly size?: number | undefined
  readonly verifiedChunks: number
  readonly chunks: number
  /** Of every chunk but the last. */
  readonly chunkBytes?: number | undefined
  /** Clients that read it. */
  readonly readers: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly bytes: SourceBytes
  /** Received of late. */
  readonly bytesPerSecond: number
  /** Marks of neighbouring chunks and how many have it, in order: `store`, `origin`, `peer`, `coming` or `missing`. */
  readonly chunkMap: readonly ChunkMarks[]
}

/** Bytes by where they came from, those thrown away among them; `store`: they were here. */
export interface SourceBytes {
  readonly store: number
  readonly origin: number
  readonly peer: number
}

export interface EndedTransfer extends TransferDetail {
  /** `mismatched`: the bytes do not have the digest; `abandoned`: nobody wanted it any more. */
  readonly outcome: 'complete' | 'failed' | 'mismatched' | 'abandoned'
  /** Milliseconds since the epoch. */
  readonly endedAt: number
}

export interface TransfersAnswer {
  /** On their way in. */
  readonly transfers: readonly TransferDetail[]
  /** The last few that are over, the newest first. */
  readonly ended: readonly EndedTransfer[]
}
