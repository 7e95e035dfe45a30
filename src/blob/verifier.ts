/**
 * Hashes the chunks of one partial blob as they reach the disk, and the whole blob as its contiguous prefix grows.
 * Owns: which chunks are verified, and how far the running digest has come. Called by `Transfer` alone.
 *
 * A chunk whose source is believed until the whole digest is known gets both hashes from one reading. Any other one is
 * checked by itself before it is appended, so that wrong bytes never spoil the running digest; the first one in the blob
 * before the others, for a reader may wait for it. Nobody waits for the log.
 */
import type { Digest } from '../oci/digest.ts'
import type { ChunkHash, PartialBlob } from './ports.ts'

/**
 * Why the chunk may be good:
 * - own: an origin sent it
 * - word: a peer sent it, what is stated decides
 * - a hash: the chunk log claims it
 */
export type Ground = 'own' | 'word' | { readonly logged: ChunkHash; readonly isSure: boolean }

export interface VerifierEvents {
  /** Whether a chunk from a peer may have this hash. */
  accepts(index: number, hash: ChunkHash): boolean
  /** @returns whether its log record may say that it is sure */
  verified(index: number, hash: ChunkHash, ground: Ground): boolean
  /** It does not have the hash that it should have: it counts as absent again. */
  rejected(index: number, hash: ChunkHash, ground: Ground): void
}

export class Verifier {
  readonly #partial: PartialBlob
  readonly #events: VerifierEvents
  /** On disk and not yet hashed. */
  readonly #pending = new Map<number, Ground>()
  readonly #verified = new Map<number, ChunkHash>()
  /** What is being read from disk now, or written to the log. */
  readonly #jobs = new Set<Promise<unknown>>()
  /** Why the log can't be written. */
  #failure: { readonly error: unknown } | undefined
  #appended = 0
  #isAppending = false
  #isForgetting = false
  #isOver = false
  #wake = Promise.withResolvers<void>()

  constructor(partial: PartialBlob, events: VerifierEvents) {
    this.#partial = partial
    this.#events = events
  }

  /** The hash of a chunk that is verified. */
  hashOf(index: number): ChunkHash | undefined {
    return this.#verified.get(index)
  }

  /** Hashes of all chunks in order, once all are verified. */
  get hashes(): ChunkHash[] {
    return [...this.#verified].sort(([a], [b]) => a - b).map(([, hash]) => hash)
  }

  /** The chunk's bytes are on disk. */
  add(index: number, ground: Ground): void {
    this.#pending.set(index, ground)
    this.#notify()
  }

  /**
   * Runs until the whole blob is hashed. When the signal aborts, what is on disk and in no log yet is hashed first, so
   * that a later transfer finds it.
   * @returns the digest of the whole blob
   * @throws ShoalError STORE_FAILED, or the signal's reason
   */
  async run(signal: AbortSignal): Promise<Digest> {
    this.#isOver = false
    const onAbort = (): void => {
      for (const [index, ground] of this.#pending) if (typeof ground === 'object') this.#pending.delete(index)
      this.#notify()
    }
    signal.addEventListener('abort', onAbort)
    try {
      const ends = await Promise.allSettled([
        this.#untilOver(this.#digest(signal)),
        this.#untilOver(this.#check(signal)),
      ])
      for (const end of ends) if (end.status === 'rejected') throw end.reason
      const digest = await this.#partial.finishDigest()
      await this.#settled()
      if (this.#failure !== undefined) throw this.#failure.error
      return digest
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /**
   * The chunks will be written anew: nothing reads them any more when this resolves.
   * @returns false, and nothing is forgotten, when the whole blob is hashed already: then its digest is what counts
   */
  async forget(indexes: readonly number[]): Promise<boolean> {
    if (this.#appended === this.#partial.plan.count) return false
    this.#isForgetting = true
    try {
      await this.#settled()
      if (this.#appended === this.#partial.plan.count) return false
      for (const index of indexes) {
        this.#pending.delete(index)
        this.#verified.delete(index)
      }
      if (indexes.some((index) => index < this.#appended)) this.#restartDigest()
      return true
    } finally {
      this.#isForgetting = false
      this.#notify()
    }
  }

  /** Begins the digest again, without these chunks or without any. To be called between two runs. */
  restart(forgotten: readonly number[] = [...this.#verified.keys()]): void {
    for (const index of forgotten) this.#verified.delete(index)
    this.#pending.clear()
    this.#restartDigest()
  }

  #restartDigest(): void {
    this.#appended = 0
    this.#partial.restartDigest()
  }

  async #digest(signal: AbortSignal): Promise<void> {
    const { count } = this.#partial.plan
    while (this.#appended < count) {
      signal.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#isOver) return
      const next = this.#appended
      const known = this.#verified.get(next)
      const isNew = known === undefined && this.#pending.get(next) === 'own'
      if (this.#isForgetting || (known === undefined && !isNew)) {
        await this.#wake.promise
        continue
      }
      this.#pending.delete(next)
      this.#isAppending = true
      await this.#job(async () => {
        const hash = await this.#partial.appendToDigest(next, known)
        this.#appended = next + 1
        if (isNew) this.#accept(next, hash, 'own')
      })
      this.#isAppending = false
    }
  }

  /** What comes out of order, or has to be checked before it may be appended. */
  async #check(signal: AbortSignal): Promise<void> {
    for (;;) {
      const isAborted = signal.aborted
      if (this.#failure !== undefined && !isAborted) return
      const found = this.#firstToCheck(isAborted)
      if (found === undefined || (this.#isForgetting && !isAborted)) {
        if (isAborted) return await this.#settled()
        if (this.#isOver) return
        await this.#wake.promise
        continue
      }
      const [index, ground] = found
      this.#pending.delete(index)
      await this.#job(async () => {
        const hash = await this.#partial.hashChunk(index)
        if (this.#isGood(index, hash, ground)) this.#accept(index, hash, ground)
        else this.#events.rejected(index, hash, ground)
      })
    }
  }

  #firstToCheck(isAborted: boolean): readonly [number, Ground] | undefined {
    let first: readonly [number, Ground] | undefined
    for (const [index, ground] of this.#pending) {
      if (first !== undefined && first[0] < index) continue
      if (isAborted || !this.#isForDigest(index, ground)) first = [index, ground]
    }
    return first
  }

  /** It comes in order, and needs no check before it is appended. */
  #isForDigest(index: number, ground: Ground): boolean {
    return ground === 'own' && (index === this.#appended || (this.#isAppending && index === this.#appended + 1))
  }

  #isGood(index: number, hash: ChunkHash, ground: Ground): boolean {
    if (ground === 'own') return true
    return ground === 'word' ? this.#events.accepts(index, hash) : ground.logged === hash
  }

  #accept(index: number, hash: ChunkHash, ground: Ground): void {
    this.#verified.set(index, hash)
    const isSure = this.#events.verified(index, hash, ground)
    this.#notify()
    void this.#job(() => this.#log(index, hash, isSure))
  }

  async #log(index: number, hash: ChunkHash, isSure: boolean): Promise<void> {
    try {
      await this.#partial.logChunk(index, hash, { isSure })
    } catch (error) {
      this.#failure ??= { error }
      this.#notify()
    }
  }

  async #job(work: () => Promise<void>): Promise<void> {
    const job = work()
    this.#jobs.add(job)
    try {
      await job
    } finally {
      this.#jobs.delete(job)
    }
  }

  async #settled(): Promise<void> {
    while (this.#jobs.size > 0) await Promise.allSettled(this.#jobs)
  }

  async #untilOver(loop: Promise<void>): Promise<void> {
    try {
      await loop
    } finally {
      this.#isOver = true
      this.#notify()
    }
  }

  #notify(): void {
    const { resolve } = this.#wake
    this.#wake = Promise.withResolvers()
    resolve()
  }
}
