/**
 * One blob on its way in; the only one of its digest in this agent, however many readers it has.
 *
 * Owns the partial blob from its opening to its commit, and its place in the blob's swarm: `TransferOpening` learns the size,
 * `Filling` brings and checks the bytes. Created, found and forgotten by `BlobService`.
 */
import { ShoalError, toShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import type { Lateness } from '../util/lateness.ts'
import type { Logger } from '../util/logger.ts'
import type { Span, Tracer } from '../util/tracer.ts'
import { Filling } from './filling.ts'
import type { BlobReader, BlobStore, ChunkSource, PartialBlob, SharedBlob, Swarm, TransferMetrics } from './ports.ts'
import { readShared, sharedView } from './shared-view.ts'
import { TransferMeter } from './transfer-meter.ts'
import { TransferOpening } from './transfer-opening.ts'
import { TransferSwarm } from './transfer-swarm.ts'
import { type TransferView, viewOfChunks } from './transfer-view.ts'

/** Without readers a transfer goes on when at least this share has arrived, or at most so much is missing. */
const WORTH_FINISHING_SHARE = 0.25
const WORTH_FINISHING_BYTES = 64 * 1024 * 1024
/** How long a transfer without readers waits for the next one before it is judged. */
const LINGER_MS = 5_000

export interface TransferComponents {
  readonly store: BlobStore
  readonly swarm: Swarm
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: TransferMetrics
  readonly tracer: Tracer
  /** Of this agent; never, where nothing is said. */
  readonly lateness?: Lateness | undefined
}

export interface TransferInit {
  readonly digest: Digest
  /** The registry it is fetched from. */
  readonly registry: string
  /** So long the swarm is searched before the origin is asked. */
  readonly headStartMs: number
  /** So long a reader waits for better evidence than one agent's word. */
  readonly holdBackMs: number
  /** In [0, 1): where this agent begins with what nobody waits for. */
  readonly offset: number
  /** Called once, when the transfer is over and the disk is left alone. */
  readonly onEnd: (end: TransferEnd) => void
}

/** `mismatched`: it failed because the bytes do not have the digest. */
export type Outcome = 'complete' | 'failed' | 'mismatched' | 'abandoned'

export interface TransferEnd {
  readonly outcome: Outcome
  /** Bytes of the blob, if they were known. */
  readonly size: number | undefined
  /** Whether the bytes rested on the word of peers, in part at least. */
  readonly usedPeers: boolean
}

type State =
  | { readonly name: 'opening' }
  | { readonly name: 'filling' }
  | { readonly name: 'matched' }
  | { readonly name: 'over'; readonly error: ShoalError }

/** How a transfer begins. */
export interface Beginning {
  /** Of the first source: see `TransferRuns.addSource`. */
  readonly key: string
  /** Size of the partial blob in the store that is taken up, undefined for none. */
  readonly kept: number | undefined
  /** As `OpeningInit`. */
  readonly isCautious: boolean
  /** As `OpeningInit`. */
  readonly statedSize: number | undefined
  readonly doubtedSizes: ReadonlySet<number>
}

/** Who has proved by the beginning that a client may have the blob. */
export type Begun =
  | { readonly by: 'origin' }
  /** `originAnswer`: whether the origin, if it was asked too, would give the blob. */
  | { readonly by: 'peers'; readonly originAnswer: Promise<void> | undefined }
  | { readonly by: 'kept' }

export class Transfer {
  readonly digest: Digest
  readonly registry: string
  readonly #components: TransferComponents
  readonly #init: TransferInit
  readonly #swarm: TransferSwarm
  readonly #meter: TransferMeter
  readonly #startedAt: number
  /** A part of the pull that caused it, and may last longer. */
  readonly #span: Span
  readonly #stop = new AbortController()
  readonly #ended = Promise.withResolvers<Outcome>()
  #state: State = { name: 'opening' }
  #filling: Filling | undefined
  #opening: Promise<Begun> | undefined
  #matching: Promise<void> | undefined
  #readers = 0
  /** Readers of peers: they keep the bytes open, and are no reason to go on. */
  #sharedReaders = 0
  #linger: NodeJS.Timeout | undefined

  constructor(components: TransferComponents, init: TransferInit) {
    this.#components = components
    this.#init = init
    this.digest = init.digest
    this.registry = init.registry
    this.#swarm = new TransferSwarm({ swarm: components.swarm }, init)
    this.#meter = new TransferMeter(components)
    this.#startedAt = components.clock()
    const { digest, registry } = init
    this.#span = components.tracer.startSpan('transfer', { 'shoal.digest': digest, 'shoal.registry': registry })
  }

  /** Bytes of the blob, once known. */
  get size(): number | undefined {
    return this.#filling?.partial.plan.size
  }

  /** Chunks that are verified, and all. */
  get progress(): { readonly verified: number; readonly count: number } {
    return { verified: this.#filling?.chunks.verifiedCount ?? 0, count: this.#filling?.chunks.count ?? 0 }
  }

  get readerCount(): number {
    return this.#readers
  }

  view(): TransferView {
    const { verified: verifiedChunks, count: chunks } = this.progress
    const { storeBytes, chunkMap } =
      this.#filling === undefined ? { storeBytes: 0, chunkMap: [] } : viewOfChunks(this.#filling)
    return {
      digest: this.digest,
      registry: this.registry,
      size: this.size,
      verifiedChunks,
      chunks,
      chunkBytes: this.#filling?.partial.plan.chunkBytes,
      readers: this.#readers,
      startedAt: this.#startedAt,
      bytes: { store: storeBytes, ...this.#meter.received },
      bytesPerSecond: Math.round(this.#meter.bytesPerSecond),
      chunkMap,
    }
  }

  /** Resolves when the transfer is over and the disk is left alone. */
  get ended(): Promise<Outcome> {
    return this.#ended.promise
  }

  /** It failed, or was given up: there is nothing to be had of it any more. */
  get isOver(): boolean {
    return this.#state.name === 'over'
  }

  /**
   * Takes up what an earlier transfer left, else asks the source and the swarm for the blob. Resolves when there can be
   * readers. To be called once.
   * @throws ShoalError of the source or the store; the transfer is then over
   */
  begin(source: ChunkSource, beginning: Beginning): Promise<Begun> {
    this.#opening = this.#components.tracer.within(this.#span, () => this.#begin(source, beginning))
    return this.#opening
  }

  /** Resolves when there can be readers. @throws ShoalError as `begin` did */
  async ready(): Promise<void> {
    await this.#opening
  }

  /** Another source for what is still missing, of the same registry. */
  addSource(source: ChunkSource, key: string): void {
    this.#filling?.runs.addSource(source, key)
  }

  /** A reader of the bytes as they arrive. @throws ShoalError when the transfer failed */
  openReader(): BlobReader {
    if (this.#state.name === 'over') throw this.#state.error
    const { gate, partial } = this.#filled()
    this.#readers += 1
    clearTimeout(this.#linger)
    const reader = gate.open()
    let isOpen = true
    return {
      digest: this.digest,
      size: partial.plan.size,
      read: (target, position, options) => reader.read(target, position, options),
      close: async () => {
        if (!isOpen) return
        isOpen = false
        reader.close()
        this.#readerLeft()
      },
    }
  }

  /** What peers may have of it; undefined while there is nothing, and when it failed. */
  shared(): SharedBlob | undefined {
    const isOver = this.#state.name === 'over' || this.#state.name === 'opening'
    if (isOver || this.#filling === undefined || this.#filling.chunks.verifiedCount === 0) return undefined
    return sharedView(this.#filling, this.#state.name === 'matched')
  }

  /** Reads every chunk that is verified, whoever's word that is. @throws ShoalError BLOB_UNKNOWN when the transfer is over */
  openShared(): BlobReader {
    if (this.#state.name === 'over' || this.#filling === undefined) {
      throw new ShoalError('BLOB_UNKNOWN', 'the transfer is over', { detail: { digest: this.digest } })
    }
    this.#sharedReaders += 1
    return readShared(this.#filling, () => {
      this.#sharedReaders -= 1
      if (this.#state.name === 'matched') void this.#closeWhenUnread()
    })
  }

  /** Ends the transfer; what has arrived is kept for a later one. */
  async stop(): Promise<void> {
    if (this.#state.name !== 'matched') this.#end(new ShoalError('STOPPING', 'the agent stops'), 'abandoned')
    await this.ended
  }

  /** Ends the transfer if nobody reads: whoever caused it may not have it. */
  abandon(): void {
    if (this.#readers === 0) this.#end(new ShoalError('ABORTED', 'nobody may have the blob'), 'abandoned')
  }

  // ---------------------------------------------------------------------------------------------------- beginning

  async #begin(source: ChunkSource, beginning: Beginning): Promise<Begun> {
    try {
      this.#swarm.join()
      return await (beginning.kept === undefined
        ? this.#beginAnew(source, beginning)
        : this.#resume(source, beginning, beginning.kept))
    } catch (error) {
      const failure = toShoalError(error)
      this.#end(failure, 'failed')
      throw failure
    }
  }

  async #resume(source: ChunkSource, { key, isCautious }: Beginning, size: number): Promise<Begun> {
    const filling = this.#fill(await this.#openPartial(size, true), isCautious)
    this.#components.log.info(
      { digest: this.digest, size, chunks: filling.partial.claimed.size },
      'resuming a partial blob',
    )
    filling.takeUp()
    filling.runs.addSource(source, key)
    if (this.#swarm.hasPeers && !this.#swarm.isSearched) filling.runs.holdOrigin(this.#init.headStartMs)
    filling.joinSwarm()
    filling.runs.schedule()
    return { by: 'kept' }
  }

  async #beginAnew(source: ChunkSource, { key, isCautious, statedSize, doubtedSizes }: Beginning): Promise<Begun> {
    const { lateness } = this.#components
    const { digest, headStartMs } = this.#init
    const opened = await new TransferOpening(
      { source, swarm: this.#swarm, lateness, within: (work) => this.#components.tracer.within(this.#span, work) },
      { digest, headStartMs, isCautious, statedSize, doubtedSizes, signal: this.#stop.signal },
    ).run()
    if (opened.by === 'peers') {
      const filling = this.#fill(await this.#openPartial(opened.size, false), isCautious)
      filling.runs.addSource(source, key)
      if (opened.originError !== undefined) filling.runs.originFailed(source, opened.originError)
      if (opened.bytes !== undefined) await filling.putOnly(opened.bytes)
      filling.joinSwarm()
      filling.runs.schedule()
      const isLarge = filling.chunks.count > 1
      const { signal } = this.#stop
      if (isLarge && opened.originError === undefined)
        filling.head.takeLater(source, this.#swarm.peerCount + 1, { signal })
      return opened
    }
    const { body, stop } = opened
    try {
      if (body.totalSize === undefined) {
        throw new ShoalError('ORIGIN_MISBEHAVED', 'the origin does not tell the size of the blob')
      }
      const filling = this.#fill(await this.#openPartial(body.totalSize, false), isCautious)
      filling.runs.addSource(source, key)
      const { plan } = filling.partial
      const isHead = opened.askedBytes !== undefined && opened.askedBytes < Math.min(plan.chunkBytes, plan.size)
      if (isHead && body.ignoresRange !== true) filling.head.take(source, body, stop)
      else filling.runs.adopt(source, body, { stop, askedBytes: opened.askedBytes })
      filling.joinSwarm()
      filling.runs.schedule()
      return { by: 'origin' }
    } catch (error) {
      stop.abort(error)
      throw error
    }
  }

  async #openPartial(size: number, takeUp: boolean): Promise<PartialBlob> {
    const partial = await this.#components.store.openPartial(this.digest, size, { takeUp })
    if (this.#state.name === 'opening') return partial
    await partial.close()
    throw this.#state.name === 'over' ? this.#state.error : new ShoalError('INTERNAL', 'the transfer is open already')
  }

  #fill(partial: PartialBlob, isCautious: boolean): Filling {
    const { clock, log, tracer, lateness } = this.#components
    const { holdBackMs, offset } = this.#init
    const filling = new Filling(
      { partial, swarm: this.#swarm, clock, log, metrics: this.#meter.metrics, tracer, span: this.#span, lateness },
      { holdBackMs, offset, isCautious, onFailed: (error) => this.#end(error, 'failed') },
    )
    this.#filling = filling
    this.#state = { name: 'filling' }
    this.#lingerFor(LINGER_MS)
    this.#matching = this.#match(filling)
    return filling
  }

  #filled(): Filling {
    if (this.#filling === undefined) throw new ShoalError('INTERNAL', 'the transfer is not ready')
    return this.#filling
  }

  // -------------------------------------------------------------------------------------------------- verification

  async #match(filling: Filling): Promise<void> {
    try {
      await filling.match(this.#stop.signal)
      if (this.#state.name !== 'filling') return
      this.#state = { name: 'matched' }
      await this.#commit(filling.partial)
    } catch (error) {
      // Also what the end of the transfer itself throws here, which then has no effect.
      this.#end(toShoalError(error), 'failed')
    }
  }

  async #commit(partial: PartialBlob): Promise<void> {
    try {
      await partial.commit()
      this.#finish('complete')
    } catch (error) {
      this.#components.log.error({ digest: this.digest, err: error }, 'a complete blob could not be stored')
      this.#finish('failed')
    }
    await this.#closeWhenUnread()
  }

  /** Never throws: nobody waits for it. */
  async #closeWhenUnread(): Promise<void> {
    await this.ended
    if (this.#readers + this.#sharedReaders === 0) await this.#putAway((partial) => partial.close())
  }

  async #putAway(how: (partial: PartialBlob) => Promise<void>): Promise<void> {
    try {
      if (this.#filling !== undefined) await how(this.#filling.partial)
    } catch (error) {
      this.#components.log.warn({ digest: this.digest, err: error }, 'a partial blob could not be put away')
    }
  }

  // ---------------------------------------------------------------------------------------------------- readers

  #readerLeft(): void {
    this.#readers -= 1
    if (this.#readers > 0 || this.#state.name === 'over') return
    if (this.#state.name === 'filling') this.#lingerFor(LINGER_MS)
    else void this.#closeWhenUnread()
  }

  #lingerFor(ms: number): void {
    clearTimeout(this.#linger)
    this.#linger = setTimeout(() => this.#judge(), ms).unref()
  }

  #judge(): void {
    const { chunks, partial } = this.#filled()
    const share = chunks.verifiedCount / chunks.count
    const missing = (chunks.count - chunks.verifiedCount) * partial.plan.chunkBytes
    if (share >= WORTH_FINISHING_SHARE || missing <= WORTH_FINISHING_BYTES) return
    this.#components.log.info({ digest: this.digest, share }, 'nobody wants the blob any more')
    this.#end(new ShoalError('ABORTED', 'nobody wants the blob any more'), 'abandoned')
  }

  // -------------------------------------------------------------------------------------------------------- end

  #end(error: ShoalError, outcome: Outcome): void {
    if (this.#state.name === 'over' || this.#state.name === 'matched') return
    this.#state = { name: 'over', error }
    this.#stop.abort(error)
    this.#filling?.runs.stop(error.message)
    this.#filling?.head.stop()
    this.#filling?.gate.fail(error)
    void this.#leave(error.code === 'DIGEST_MISMATCH' ? 'mismatched' : outcome)
  }

  async #leave(outcome: Outcome): Promise<void> {
    await this.#matching
    await this.#putAway((partial) => (outcome === 'mismatched' ? partial.discard() : partial.close()))
    this.#finish(outcome)
  }

  #finish(outcome: Outcome): void {
    clearTimeout(this.#linger)
    this.#swarm.leave()
    this.#components.metrics.transferEnded(outcome, (this.#components.clock() - this.#startedAt) / 1000)
    const usedPeers = this.#filling?.usedPeers ?? false
    this.#span.set({ 'shoal.outcome': outcome, 'shoal.size': this.size, 'shoal.used_peers': usedPeers })
    this.#span.end(this.#state.name === 'over' ? this.#state.error : undefined)
    this.#init.onEnd({ outcome, size: this.size, usedPeers })
    this.#ended.resolve(outcome)
  }
}
