import { setTimeout as pause } from 'node:timers/promises'
import type { Abortable, ChunkSource, SourceBody } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'

const PIECE_BYTES = 64 * 1024

/** What a source does wrong; nothing unless it is set. */
export interface Faults {
  /** Positions of bytes that are flipped. */
  readonly flip: Set<number>
  /** Bytes after which each answer stops coming. */
  stallAfter?: number | undefined
  /** Milliseconds after which a source that stalls gives up by itself. */
  stallMs?: number
  /** A source that stalls does not even end when it is told to. */
  isDeaf?: boolean
  /** Bytes after which each answer is cut. */
  cutAfter?: number | undefined
  /** Bytes, over all answers, after which it is gone for good. */
  goneAfter?: number | undefined
  /** Instead of answering. */
  refusal?: ShoalError | undefined
  /** States this instead of its size. */
  totalSize?: number | undefined
  /** Sends bytes after the end. */
  isEndless?: boolean
  /** Sends everything from the beginning, whatever range is asked for. */
  ignoresRange?: boolean
  /** Milliseconds before the first byte. */
  firstByteMs?: number
  /** Milliseconds between two pieces of 64 KiB. */
  pieceMs?: number
}

/** Serves ranges of bytes, as well as its faults let it. */
export class FakeSource implements ChunkSource {
  readonly kind: 'origin' | 'peer'
  readonly id: string
  readonly bytes: Buffer
  readonly faults: Faults = { flip: new Set() }
  readonly requests: { start: number; end: number | undefined }[] = []
  sent = 0
  /** Requests that are being answered. */
  busy = 0
  mostBusy = 0

  constructor(init: { kind: 'origin' | 'peer'; id: string; bytes: Buffer; faults?: Partial<Faults> }) {
    this.kind = init.kind
    this.id = init.id
    this.bytes = init.bytes
    Object.assign(this.faults, init.faults)
  }

  async open(range: { start: number; end: number | undefined }, { signal }: Abortable): Promise<SourceBody> {
    signal.throwIfAborted()
    this.requests.push(range)
    const { refusal, firstByteMs = 0, totalSize } = this.faults
    if (firstByteMs > 0) await pause(firstByteMs, undefined, { signal })
    if (refusal !== undefined || this.#isGone) throw refusal ?? this.#unavailable()
    const { ignoresRange = false } = this.faults
    const bytes = ignoresRange ? this.#sendAll(range, signal) : this.#send(range, signal)
    return { totalSize: totalSize ?? this.bytes.length, ignoresRange, bytes }
  }

  async *#sendAll({ start, end = this.bytes.length }: { start: number; end: number | undefined }, signal: AbortSignal) {
    let position = 0
    for await (const piece of this.#send({ start: 0, end }, signal)) {
      const skipped = Math.min(piece.length, Math.max(0, start - position))
      position += piece.length
      if (skipped < piece.length) yield piece.subarray(skipped)
    }
  }

  async *#send({ start, end = this.bytes.length }: { start: number; end: number | undefined }, signal: AbortSignal) {
    this.busy += 1
    this.mostBusy = Math.max(this.mostBusy, this.busy)
    try {
      const { stallAfter = Infinity, cutAfter = Infinity, pieceMs = 0 } = this.faults
      for (let position = start; position < end; ) {
        const done = position - start
        if (done >= stallAfter) await this.#hang(signal)
        if (done >= cutAfter || this.#isGone) throw this.#unavailable()
        await pause(pieceMs, undefined, { signal })
        const most = Math.min(end, position + PIECE_BYTES, start + stallAfter, start + cutAfter)
        const piece = Buffer.from(this.bytes.subarray(position, most))
        for (const at of this.faults.flip) {
          if (at >= position && at < most) piece[at - position] = (piece[at - position] ?? 0) ^ 0xff
        }
        this.sent += piece.length
        position = most
        yield piece
      }
      while (this.faults.isEndless === true) {
        await pause(1, undefined, { signal })
        yield Buffer.alloc(PIECE_BYTES)
      }
    } finally {
      this.busy -= 1
    }
  }

  get #isGone(): boolean {
    return this.sent >= (this.faults.goneAfter ?? Infinity)
  }

  async #hang(signal: AbortSignal): Promise<void> {
    if (this.faults.isDeaf === true) await new Promise(() => {})
    const { promise, reject } = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    if (signal.aborted) reject(signal.reason)
    const { stallMs } = this.faults
    if (stallMs !== undefined) setTimeout(() => reject(new ShoalError('STALLED', `${this.id} stalls`)), stallMs)
    await promise
  }

  #unavailable(): ShoalError {
    return new ShoalError(this.kind === 'peer' ? 'PEER_UNAVAILABLE' : 'ORIGIN_UNAVAILABLE', `${this.id} is gone`)
  }
}
