import { createHash, type Hash } from 'node:crypto'
import { type ChunkPlan, chunkAt, chunkStart } from './chunk-plan.ts'
import type { RunView } from './chunk-scheduler.ts'
import type { ChunkHash } from './ports.ts'
import type { TransferSource } from './transfer-source.ts'

/** A request waits so long for its turn until that counts as silence: a host that is gone never gives one. */
const TURN_MS = 2_000

const NOTHING: readonly Uint8Array[] = []
const NOTHING_WRITTEN = Promise.resolve()

export interface Stop {
  readonly signal: AbortSignal
  abort(reason: unknown): void
}

export interface RunInit {
  readonly id: number
  readonly source: TransferSource
  readonly stop: Stop
  /** The chunk after the last one that the source was asked for. */
  readonly askedEnd: number
  /** Others of this source were running when it began. */
  readonly isExtra: boolean
  readonly isSpare: boolean
  readonly startedAt: number
  readonly next: number
  readonly end: number
  readonly position: number
}

/** One request for neighbouring chunks. Only `TransferRuns` changes it. */
export class Run {
  readonly id: number
  readonly source: TransferSource
  readonly stop: Stop
  readonly askedEnd: number
  readonly isExtra: boolean
  readonly startedAt: number
  readonly #startedFrom: number
  /** Its chunks are brought by another run too: they are kept in memory until it is clear whose are used. */
  isSpare: boolean
  /** This agent has ended it: that is not the source's fault. */
  isCut = false
  next: number
  end: number
  /** The next byte to be written, or kept. */
  position: number
  /** What is being written at `position`. */
  writing: readonly Uint8Array[] = NOTHING
  /** The last write that was begun. */
  written: Promise<unknown> = NOTHING_WRITTEN
  /** When the last byte came, or the source was asked; undefined while the request waits for its turn. */
  lastByteAt: number | undefined
  /** What arrived of a chunk that is not written yet, because there is something of it here. */
  kept: KeptChunk | undefined

  constructor(init: RunInit) {
    this.id = init.id
    this.source = init.source
    this.stop = init.stop
    this.askedEnd = init.askedEnd
    this.isExtra = init.isExtra
    this.isSpare = init.isSpare
    this.startedAt = init.startedAt
    this.lastByteAt = this.isTrusted ? init.startedAt : undefined
    this.next = init.next
    this.end = init.end
    this.position = init.position
    this.#startedFrom = init.position
  }

  /** Whether its bytes may be read before they are verified: the origin's word is all there is. */
  get isTrusted(): boolean {
    return this.source.source.kind === 'origin'
  }

  /** Whether it is the one that writes the chunk. */
  isWriterOf(index: number): boolean {
    return !this.isSpare && this.next <= index && index < this.end
  }

  /** Bytes that it has brought. */
  get received(): number {
    let position = this.position
    for (const piece of this.writing) position += piece.length
    return position - this.#startedFrom
  }

  view(plan: ChunkPlan, now: number): RunView {
    const ageMs = now - this.startedAt
    // Readers may be ahead of the disk, but never of what has arrived.
    const { received } = this
    const position = this.#startedFrom + received
    const next = this.isSpare ? this.next : Math.max(this.next, chunkAt(plan, position))
    return {
      id: this.id,
      source: this.source.id,
      kind: this.source.source.kind,
      isSpare: this.isSpare,
      next: Math.min(this.end, next),
      arrivedBytes: Math.max(0, position - chunkStart(plan, next)),
      end: this.end,
      askedEnd: this.askedEnd,
      ageMs,
      // A disk that takes its time is not the source's fault.
      silentMs: this.writing.length > 0 ? 0 : now - (this.lastByteAt ?? Math.min(now, this.startedAt + TURN_MS)),
      bytesPerSecond: (received * 1_000) / Math.max(1, ageMs),
    }
  }
}

/** A chunk as it arrives in memory, and its hash. */
export class KeptChunk {
  readonly #hash: Hash = createHash('sha256')
  readonly pieces: Uint8Array[] = []
  bytes = 0

  add(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      this.#hash.update(piece)
      this.pieces.push(piece)
      this.bytes += piece.length
    }
  }

  finish(): ChunkHash {
    return this.#hash.digest('hex')
  }

  /** What is behind the first `count` bytes. */
  after(count: number): Uint8Array[] {
    return cut(this.pieces, count).rest
  }
}

/** The first `limit` bytes of `pieces` and what is left, without copying. */
export function cut(
  pieces: readonly Uint8Array[],
  limit: number,
): { first: Uint8Array[]; rest: Uint8Array[]; bytes: number } {
  const first: Uint8Array[] = []
  const rest: Uint8Array[] = []
  let bytes = 0
  for (const piece of pieces) {
    const taken = Math.min(piece.length, limit - bytes)
    if (taken > 0) first.push(taken === piece.length ? piece : piece.subarray(0, taken))
    if (taken < piece.length) rest.push(taken === 0 ? piece : piece.subarray(taken))
    bytes += taken
  }
  return { first, rest, bytes }
}
