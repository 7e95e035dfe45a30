/**
 * What readers may see of a blob on its way in, and who waits to see more:
 *   - a byte from the origin as soon as it arrives, for the origin's word is all there is until the whole blob is hashed;
 *   - a chunk that somebody claims is good, only when it is verified;
 *   - no byte of the last chunk before the digest of the whole blob matched.
 * Owned by one `Transfer`.
 */
import type { ShoalError } from '../errors.ts'
import { chunkAt, chunkStart } from './chunk-plan.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { Abortable, PartialBlob } from './ports.ts'
import type { TransferRuns } from './transfer-runs.ts'

/** How often it is asked again whether a reader that waits is served best by the runs there are. */
const RECONSIDER_MS = 100

interface Waiter {
  readonly position: number
  readonly wake: () => void
}

export interface ReadGateComponents {
  readonly partial: PartialBlob
  readonly chunks: ChunkStates
  readonly runs: Pick<TransferRuns, 'schedule' | 'readableWithin' | 'bytesBeingWritten'>
}

export class ReadGate {
  readonly #components: ReadGateComponents
  readonly #waiters = new Set<Waiter>()
  /** Undefined while the blob is on its way; without an error, all of it may be read. */
  #end: { readonly error?: ShoalError } | undefined
  #anythingRead = false

  constructor(components: ReadGateComponents) {
    this.#components = components
  }

  /** Whether a reader has got a byte. */
  get anythingRead(): boolean {
    return this.#anythingRead
  }

  /** Chunks that readers wait for, the longest waiting first. */
  wanted(): number[] {
    const { plan } = this.#components.partial
    return [...this.#waiters].map((waiter) => chunkAt(plan, waiter.position))
  }

  /** As `BlobReader.read`. */
  async read(target: Uint8Array, position: number, { signal }: Abortable): Promise<number> {
    const { partial } = this.#components
    for (;;) {
      if (this.#end?.error !== undefined) throw this.#end.error
      if (this.#end !== undefined && position >= partial.plan.size) return 0
      const until = this.#readableUntil(position)
      if (until > position) {
        this.#anythingRead = true
        return partial.read(until - position < target.length ? target.subarray(0, until - position) : target, position)
      }
      const arriving = this.#arrivingAt(position)
      if (arriving !== undefined) {
        this.#anythingRead = true
        const bytes = arriving.subarray(0, target.length)
        target.set(bytes)
        return bytes.length
      }
      await this.#progressAt(position, signal)
    }
  }

  /** Something has arrived, or was verified. */
  progressed(): void {
    for (const { position, wake } of this.#waiters) {
      if (this.#readableUntil(position) > position || this.#arrivingAt(position) !== undefined) wake()
    }
  }

  /** The digest of the whole blob matched. */
  openAll(): void {
    this.#finish({})
  }

  /** Nothing more will be read. */
  fail(error: ShoalError): void {
    this.#finish({ error })
  }

  #finish(end: { readonly error?: ShoalError }): void {
    this.#end ??= end
    for (const waiter of this.#waiters) waiter.wake()
  }

  /** The first byte from `position` on that may not be read from disk yet. */
  #readableUntil(position: number): number {
    const { partial, chunks, runs } = this.#components
    const { plan } = partial
    if (this.#end !== undefined) return plan.size
    const last = plan.count - 1
    let index = chunkAt(plan, position)
    while (index < last && chunks.isReadable(index)) index += 1
    const within = index < last ? (runs.readableWithin(index) ?? chunks.reached(index)) : undefined
    return within ?? chunkStart(plan, index)
  }

  /** Bytes from `position` on that may be read and are not on disk yet. */
  #arrivingAt(position: number): Uint8Array | undefined {
    const { partial, runs } = this.#components
    const heldBack = chunkStart(partial.plan, partial.plan.count - 1)
    return position < heldBack ? runs.bytesBeingWritten(position)?.subarray(0, heldBack - position) : undefined
  }

  async #progressAt(position: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { runs } = this.#components
    const progress = Promise.withResolvers<void>()
    const waiter: Waiter = { position, wake: progress.resolve }
    const onAbort = (): void => progress.reject(signal.reason)
    const reconsider = setInterval(() => runs.schedule(), RECONSIDER_MS)
    this.#waiters.add(waiter)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      runs.schedule()
      await progress.promise
    } finally {
      clearInterval(reconsider)
      signal.removeEventListener('abort', onAbort)
      this.#waiters.delete(waiter)
    }
  }
}
