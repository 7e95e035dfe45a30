/**
 * One blob on its way in; the only one of its digest in this agent, however many readers it has.
 *
 * Owns the partial blob from its opening to its commit: `TransferRuns` fills it, the `Verifier` hashes it, the `ReadGate`
 * lets readers see what they may. Created, found and forgotten by `BlobService`.
 */
import { ShoalError, toShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { linkSignals } from '../util/signals.ts'
import { ChunkStates } from './chunk-states.ts'
import type { BlobReader, BlobStore, ChunkSource, PartialBlob, TransferMetrics } from './ports.ts'
import { ReadGate } from './read-gate.ts'
import { TransferRuns } from './transfer-runs.ts'
import { Verifier } from './verifier.ts'

/** Without readers a transfer goes on when at least this share has arrived, or at most so much is missing. */
const WORTH_FINISHING_SHARE = 0.25
const WORTH_FINISHING_BYTES = 64 * 1024 * 1024
/** How long a transfer without readers waits for the next one before it is judged. */
const LINGER_MS = 5_000

export interface TransferComponents {
  readonly store: BlobStore
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: TransferMetrics
}

export interface TransferInit {
  readonly digest: Digest
  /** The registry it is fetched from. */
  readonly registry: string
  /** Called once, when the transfer is over and the disk is left alone. */
  readonly onEnd: (outcome: Outcome) => void
}

/** `mismatched`: it failed because the bytes do not have the digest. */
export type Outcome = 'complete' | 'failed' | 'mismatched' | 'abandoned'

/** Everything that exists once the size is known. */
interface Filling {
  readonly partial: PartialBlob
  readonly chunks: ChunkStates
  readonly runs: TransferRuns
  readonly verifier: Verifier
  readonly gate: ReadGate
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
}

export class Transfer {
  readonly digest: Digest
  readonly registry: string
  readonly #components: TransferComponents
  readonly #onEnd: (outcome: Outcome) => void
  readonly #startedAt: number
  readonly #stop = new AbortController()
  readonly #ended = Promise.withResolvers<Outcome>()
  #state: State = { name: 'opening' }
  #filling: Filling | undefined
  #opening: Promise<void> | undefined
  #verifying: Promise<void> | undefined
  #readers = 0
  #restarted = false
  #linger: NodeJS.Timeout | undefined

  constructor(components: TransferComponents, init: TransferInit) {
    this.#components = components
    this.digest = init.digest
    this.registry = init.registry
    this.#onEnd = init.onEnd
    this.#startedAt = components.clock()
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

  /** Resolves when the transfer is over and the disk is left alone. */
  get ended(): Promise<Outcome> {
    return this.#ended.promise
  }

  /** It failed, or was given up: there is nothing to be had of it any more. */
  get isOver(): boolean {
    return this.#state.name === 'over'
  }

  /**
   * Takes up what an earlier transfer left, else asks the source for the blob and so proves that it gives it. Resolves
   * when there can be readers. To be called once.
   * @throws ShoalError of the source or the store; the transfer is then over
   */
  begin(source: ChunkSource, beginning: Beginning): Promise<void> {
    this.#opening = this.#begin(source, beginning)
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
    const filling = this.#filled()
    this.#readers += 1
    clearTimeout(this.#linger)
    let isOpen = true
    return {
      digest: this.digest,
      size: filling.partial.plan.size,
      read: (target, position, options) => filling.gate.read(target, position, options),
      close: async () => {
        if (isOpen) this.#readerLeft()
        isOpen = false
      },
    }
  }

  /** Ends the transfer; what has arrived is kept for a later one. */
  async stop(): Promise<void> {
    if (this.#state.name !== 'matched') this.#end(new ShoalError('STOPPING', 'the agent stops'), 'abandoned')
    await this.ended
  }

  async #begin(source: ChunkSource, { key, kept }: Beginning): Promise<void> {
    try {
      if (kept === undefined) await this.#beginAnew(source, key)
      else await this.#resume(source, key, kept)
    } catch (error) {
      const failure = toShoalError(error)
      this.#end(failure, 'failed')
      throw failure
    }
  }

  async #resume(source: ChunkSource, key: string, size: number): Promise<void> {
    const filling = await this.#fill(await this.#components.store.openPartial(this.digest, size, { takeUp: true }))
    const { partial, chunks, verifier, runs } = filling
    for (const [index, hash] of partial.claimed) {
      chunks.set(index, 'claimed')
      verifier.add(index, hash)
    }
    this.#components.log.info({ digest: this.digest, size, chunks: partial.claimed.size }, 'resuming a partial blob')
    runs.addSource(source, key)
    runs.schedule()
  }

  async #beginAnew(source: ChunkSource, key: string): Promise<void> {
    const { store } = this.#components
    const stop = linkSignals([this.#stop.signal])
    const body = await source.open({ start: 0, end: undefined }, { signal: stop.signal })
    try {
      if (body.totalSize === undefined) {
        throw new ShoalError('ORIGIN_MISBEHAVED', 'the origin does not tell the size of the blob')
      }
      const { runs } = await this.#fill(await store.openPartial(this.digest, body.totalSize, { takeUp: false }))
      runs.addSource(source, key)
      runs.adopt(source, body, stop)
    } catch (error) {
      stop.abort(error)
      throw error
    }
  }

  async #fill(partial: PartialBlob): Promise<Filling> {
    if (this.#state.name !== 'opening') {
      await partial.close()
      throw this.#state.name === 'over' ? this.#state.error : new ShoalError('INTERNAL', 'the transfer is open already')
    }
    const chunks = new ChunkStates(partial.plan.count)
    const verifier = new Verifier(partial, {
      verified: (index) => this.#verified(index),
      rejected: (index) => this.#rejected(index),
    })
    const { clock, log, metrics } = this.#components
    const events = {
      arrived: (index: number): void => {
        chunks.set(index, 'received')
        verifier.add(index)
      },
      progressed: (): void => gate.progressed(),
      failed: (error: ShoalError): void => this.#end(error, 'failed'),
      wanted: (): number[] => gate.wanted(),
    }
    const runs: TransferRuns = new TransferRuns({ partial, chunks, clock, log, metrics, events })
    const gate: ReadGate = new ReadGate({ partial, chunks, runs })
    const filling: Filling = { partial, chunks, runs, verifier, gate }
    this.#filling = filling
    this.#state = { name: 'filling' }
    this.#lingerFor(LINGER_MS)
    this.#verifying = this.#verify(filling)
    return filling
  }

  #filled(): Filling {
    if (this.#filling === undefined) throw new ShoalError('INTERNAL', 'the transfer is not ready')
    return this.#filling
  }

  // ----------------------------------------------------------------------------------------------- verification

  async #verify(filling: Filling): Promise<void> {
    try {
      for (;;) {
        const found = await filling.verifier.run(this.#stop.signal)
        if (this.#state.name !== 'filling') return
        if (found === this.digest) break
        this.#mismatched(filling, found)
      }
      this.#state = { name: 'matched' }
      filling.runs.stop('the blob is complete')
      filling.gate.openAll()
      await this.#commit(filling.partial)
    } catch (error) {
      // Also what the end of the transfer itself throws here, which then has no effect.
      this.#end(toShoalError(error), 'failed')
    }
  }

  /** Once, and if nobody has seen a byte yet, the blob is fetched anew. @throws ShoalError DIGEST_MISMATCH otherwise */
  #mismatched(filling: Filling, found: Digest): void {
    this.#components.log.warn({ digest: this.digest, found }, 'the blob does not have its digest')
    if (filling.gate.anythingRead || this.#restarted) {
      throw new ShoalError('DIGEST_MISMATCH', 'the bytes do not have the digest', { detail: { found } })
    }
    this.#restarted = true
    filling.chunks.clear()
    filling.verifier.restart()
    filling.runs.schedule()
  }

  #verified(index: number): void {
    const { chunks, gate } = this.#filled()
    chunks.set(index, 'verified')
    gate.progressed()
  }

  #rejected(index: number): void {
    this.#components.log.warn({ digest: this.digest, chunk: index }, 'a chunk does not have the hash claimed for it')
    const { chunks, runs } = this.#filled()
    chunks.set(index, 'absent')
    runs.schedule()
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
    if (this.#readers === 0) await this.#putAway((partial) => partial.close())
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
    this.#filling?.gate.fail(error)
    void this.#leave(error.code === 'DIGEST_MISMATCH' ? 'mismatched' : outcome)
  }

  async #leave(outcome: Outcome): Promise<void> {
    await this.#verifying
    await this.#putAway((partial) => (outcome === 'mismatched' ? partial.discard() : partial.close()))
    this.#finish(outcome)
  }

  #finish(outcome: Outcome): void {
    clearTimeout(this.#linger)
    this.#components.metrics.transferEnded(outcome, (this.#components.clock() - this.#startedAt) / 1000)
    this.#onEnd(outcome)
    this.#ended.resolve(outcome)
  }
}
