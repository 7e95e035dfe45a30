/**
 * What readers may see of a blob on its way in, and who waits to see more:
 *   - a byte from the origin as soon as it arrives, for the origin's word is all there is until the whole blob is hashed;
 *   - a chunk that a peer brought, only when it is verified and `ChunkTrust` lets it pass;
 *   - no byte of the last chunk before the digest of the whole blob matched.
 * Owned by one `Transfer`.
 */
import { ShoalError } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import { chunkAt, chunkStart } from './chunk-plan.ts'
import type { WantedChunk } from './chunk-scheduler.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ChunkTrust } from './chunk-trust.ts'
import type { Abortable, ChunkHash, PartialBlob } from './ports.ts'
import type { RunSet } from './run-set.ts'
import type { TransferRuns } from './transfer-runs.ts'

/** How often it is asked again whether a reader that waits is served best by the runs there are. */
const RECONSIDER_MS = 250
/** No reader takes more at once: it need not be looked further ahead. */
const MAX_READ_BYTES = 8 * 1024 * 1024

interface Waiter {
  readonly position: number
  readonly since: number
  readonly wake: () => void
}

/** One reader: what it was given, for bytes that turn out wrong must not become a whole body. */
interface Audience {
  readonly seen: Set<number>
  /** What it has seen of chunks that are being replaced. */
  readonly doubted: Map<number, ChunkHash>
  /** It was given the head. */
  sawHead: boolean
  error: ShoalError | undefined
}

export interface ReadGateComponents {
  readonly partial: PartialBlob
  readonly chunks: ChunkStates
  readonly trust: ChunkTrust
  readonly runs: Pick<TransferRuns, 'schedule'>
  readonly onItsWay: Pick<RunSet, 'isOnItsWay' | 'readableWithin' | 'bytesBeingWritten'>
  readonly clock: Clock
}

export interface ReadGateInit {
  /** So long a reader waits for better evidence than one agent's word. */
  readonly holdBackMs: number
}

export interface GateReader {
  /** As `BlobReader.read`. */
  read(target: Uint8Array, position: number, options: Abortable): Promise<number>
  close(): void
}

export class ReadGate {
  readonly #components: ReadGateComponents
  readonly #holdBackMs: number
  readonly #waiters = new Set<Waiter>()
  readonly #audiences = new Set<Audience>()
  /** Undefined while the blob is on its way; without an error, all of it may be read. */
  #end: { readonly error?: ShoalError } | undefined
  #anythingRead = false
  #hadReader = false
  /** First bytes of the blob as the origin sent them, in memory, so that no reader waits for its first chunk to get anything. */
  readonly #head: Uint8Array[] = []
  #headBytes = 0
  #isHeadOver = false

  constructor(components: ReadGateComponents, init: ReadGateInit) {
    this.#components = components
    this.#holdBackMs = init.holdBackMs
  }

  /** Whether a reader has got a byte. */
  get anythingRead(): boolean {
    return this.#anythingRead
  }

  get hasReaders(): boolean {
    return this.#audiences.size > 0
  }

  /** Chunks that readers wait for, the longest waiting first. Before anybody has read, the first one: a reader is being admitted meanwhile. */
  wanted(): WantedChunk[] {
    const { partial, clock } = this.#components
    const now = clock()
    if (this.#waiters.size === 0 && this.#isBeforeReading) return [{ chunk: 0, waitedMs: 0 }]
    return [...this.#waiters].map(({ position, since }) => ({
      chunk: chunkAt(partial.plan, position),
      waitedMs: now - since,
    }))
  }

  get #isBeforeReading(): boolean {
    const isForgotten = this.#hadReader && !this.hasReaders
    return !this.#anythingRead && !isForgotten && this.#components.chunks.of(0) === 'absent'
  }

  open(): GateReader {
    this.#hadReader = true
    const audience: Audience = { seen: new Set(), doubted: new Map(), sawHead: false, error: undefined }
    this.#audiences.add(audience)
    return {
      read: (target, position, options) => this.#read(audience, target, position, options),
      close: () => void this.#audiences.delete(audience),
    }
  }

  /** Something has arrived, was verified, or is better known. */
  progressed(): void {
    for (const { position, wake } of this.#waiters) {
      const isThere = this.#readableUntil(position, 1) > position || this.#arrivingAt(position) !== undefined
      if (isThere || position < this.#headBytes) wake()
    }
  }

  /** What is here of the chunk, with this hash, is fetched again. */
  doubt(index: number, hash: ChunkHash): void {
    for (const { seen, doubted } of this.#audiences) if (seen.delete(index)) doubted.set(index, hash)
  }

  /** The chunk has this hash after all: who has seen another version must not be given the rest. */
  settle(index: number, hash: ChunkHash): void {
    for (const audience of this.#audiences) {
      const before = audience.doubted.get(index)
      if (before !== undefined && before !== hash) this.#spoil(audience, index)
      if (audience.doubted.delete(index)) audience.seen.add(index)
    }
  }

  /** What is here of the chunk is good for nothing: who has seen it must not be given the rest. */
  spoil(index: number): void {
    for (const audience of this.#audiences) if (audience.seen.has(index)) this.#spoil(audience, index)
  }

  #spoil(audience: Audience, chunk: number): void {
    const detail = { chunk }
    audience.error ??= new ShoalError('DIGEST_MISMATCH', 'bytes that were read turned out wrong', { detail })
    for (const { wake } of this.#waiters) wake()
  }

  /** The next of the blob's first bytes; less than a chunk in all. */
  addHead(piece: Uint8Array): void {
    if (this.#isHeadOver) return
    this.#head.push(piece)
    this.#headBytes += piece.length
    this.progressed()
  }

  /**
   * Whoever was given another beginning than what has the digest must not be given the end. From now on nobody is given any of it.
   * @throws ShoalError of the store
   */
  async checkHead(): Promise<void> {
    this.#isHeadOver = true
    const head = Buffer.concat(this.#head.splice(0))
    this.#headBytes = 0
    if (head.length === 0) return
    const found = Buffer.alloc(head.length)
    for (let at = 0; at < head.length; ) {
      const count = await this.#components.partial.read(found.subarray(at), at)
      if (count === 0) break
      at += count
    }
    if (found.equals(head)) return
    for (const audience of this.#audiences) if (audience.sawHead) this.#spoil(audience, 0)
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

  async #read(audience: Audience, target: Uint8Array, position: number, { signal }: Abortable): Promise<number> {
    const { partial } = this.#components
    for (;;) {
      const error = audience.error ?? this.#end?.error
      if (error !== undefined) throw error
      if (this.#end !== undefined && position >= partial.plan.size) return 0
      const until = this.#readableUntil(position, target.length)
      if (until > position) {
        const wanted = until - position < target.length ? target.subarray(0, until - position) : target
        this.#saw(audience, position, wanted.length)
        const count = await partial.read(wanted, position)
        // It may have been replaced while it was read.
        if (audience.error !== undefined) throw audience.error
        return count
      }
      const arriving = this.#arrivingAt(position)
      if (arriving !== undefined) {
        const bytes = arriving.subarray(0, target.length)
        this.#saw(audience, position, bytes.length)
        target.set(bytes)
        return bytes.length
      }
      const head = this.#headAt(position)
      if (head !== undefined) {
        this.#anythingRead = true
        audience.sawHead = true
        const bytes = head.subarray(0, target.length)
        target.set(bytes)
        return bytes.length
      }
      await this.#progressAt(position, signal)
    }
  }

  #saw(audience: Audience, position: number, bytes: number): void {
    this.#anythingRead = true
    // Once the digest matched nothing is replaced any more.
    if (this.#end !== undefined) return
    const { plan } = this.#components.partial
    const last = chunkAt(plan, position + Math.max(0, bytes - 1))
    for (let index = chunkAt(plan, position); index <= last; index++) audience.seen.add(index)
  }

  /** The first byte from `position` on that may not be read from disk yet, looked for no further than is asked. */
  #readableUntil(position: number, bytes: number): number {
    const { partial, chunks, trust, onItsWay } = this.#components
    const { plan } = partial
    if (this.#end !== undefined) return plan.size
    const last = plan.count - 1
    const enough = position + Math.min(bytes, MAX_READ_BYTES)
    let index = chunkAt(plan, position)
    while (index < last && chunkStart(plan, index) < enough && trust.isReadable(index)) index += 1
    const within = index < last ? (onItsWay.readableWithin(index) ?? chunks.reached(index)) : undefined
    return within ?? chunkStart(plan, index)
  }

  /** Bytes from `position` on that may be read and are not on disk yet. */
  #arrivingAt(position: number): Uint8Array | undefined {
    const { partial, onItsWay } = this.#components
    const heldBack = chunkStart(partial.plan, partial.plan.count - 1)
    return position < heldBack ? onItsWay.bytesBeingWritten(position)?.subarray(0, heldBack - position) : undefined
  }

  #headAt(position: number): Uint8Array | undefined {
    if (position >= this.#headBytes) return undefined
    let start = 0
    for (const piece of this.#head) {
      if (position < start + piece.length) return piece.subarray(position - start)
      start += piece.length
    }
    return undefined
  }

  async #progressAt(position: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { partial, runs, onItsWay, clock } = this.#components
    const progress = Promise.withResolvers<void>()
    const waiter: Waiter = { position, since: clock(), wake: progress.resolve }
    const onAbort = (): void => progress.reject(signal.reason)
    const reconsider = setInterval(() => this.#reconsider(waiter), RECONSIDER_MS)
    this.#waiters.add(waiter)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      // A reader that keeps up with the origin waits thousands of times a second.
      if (!onItsWay.isOnItsWay(chunkAt(partial.plan, position))) runs.schedule()
      await progress.promise
    } finally {
      clearInterval(reconsider)
      signal.removeEventListener('abort', onAbort)
      this.#waiters.delete(waiter)
    }
  }

  #reconsider({ position, since }: Waiter): void {
    const { partial, trust, runs, clock } = this.#components
    const isLate = clock() - since >= this.#holdBackMs
    if (isLate && !trust.lonePasses && trust.isLone(chunkAt(partial.plan, position))) {
      trust.lonePasses = true
      this.progressed()
    }
    runs.schedule()
  }
}
