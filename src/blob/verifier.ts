/**
 * Hashes the chunks of one partial blob as they reach the disk, and the whole blob as its contiguous prefix grows.
 * Owns: which chunks are verified, and how far the running digest has come. Called by `Transfer` alone.
 */
import type { Digest } from '../oci/digest.ts'
import type { ChunkHash, PartialBlob } from './ports.ts'

export interface VerifierEvents {
  verified(index: number): void
  /** The chunk does not have the hash that was claimed for it: it counts as absent again. */
  rejected(index: number): void
}

export class Verifier {
  readonly #partial: PartialBlob
  readonly #events: VerifierEvents
  /** On disk and not yet hashed, with the hash claimed for it (undefined: the source's own word is all there is). */
  readonly #pending = new Map<number, ChunkHash | undefined>()
  readonly #verified = new Map<number, ChunkHash>()
  #appended = 0
  #wake = Promise.withResolvers<void>()

  constructor(partial: PartialBlob, events: VerifierEvents) {
    this.#partial = partial
    this.#events = events
  }

  /** The chunk's bytes are on disk. */
  add(index: number, claim?: ChunkHash): void {
    this.#pending.set(index, claim)
    this.#wake.resolve()
  }

  /**
   * Runs until the whole blob is hashed. When the signal aborts, what is on disk and in no log yet is hashed first, so
   * that a later transfer finds it.
   * @returns the digest of the whole blob
   * @throws ShoalError STORE_FAILED, or the signal's reason
   */
  async run(signal: AbortSignal): Promise<Digest> {
    const onAbort = (): void => {
      for (const [index, claim] of this.#pending) if (claim !== undefined) this.#pending.delete(index)
      this.#wake.resolve()
    }
    signal.addEventListener('abort', onAbort)
    try {
      while (this.#appended < this.#partial.plan.count) {
        if (await this.#step()) continue
        signal.throwIfAborted()
        await this.#wake.promise
        this.#wake = Promise.withResolvers()
      }
      return await this.#partial.finishDigest()
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Forgets everything, to begin again with an empty blob. */
  restart(): void {
    this.#pending.clear()
    this.#verified.clear()
    this.#appended = 0
    this.#partial.restartDigest()
  }

  async #step(): Promise<boolean> {
    const next = this.#appended
    if (this.#verified.has(next) || (this.#pending.has(next) && this.#pending.get(next) === undefined)) {
      this.#pending.delete(next)
      const hash = await this.#partial.appendToDigest(next)
      this.#appended = next + 1
      if (!this.#verified.has(next)) await this.#accept(next, hash)
      return true
    }
    const [index, claim] = this.#pending.entries().next().value ?? []
    if (index === undefined) return false
    this.#pending.delete(index)
    const hash = await this.#partial.hashChunk(index)
    if (claim === undefined || claim === hash) await this.#accept(index, hash)
    else this.#events.rejected(index)
    return true
  }

  async #accept(index: number, hash: ChunkHash): Promise<void> {
    this.#verified.set(index, hash)
    this.#events.verified(index)
    await this.#partial.logChunk(index, hash, { isSure: true })
  }
}
