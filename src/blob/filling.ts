/**
 * A partial blob that is being filled: everything of a transfer that exists once the size is known.
 *
 * Owns what is known of the chunks and ties the parts together: `TransferRuns` brings bytes, the `Verifier` hashes them, the
 * `ClaimBook` says what they are worth, the `ReadGate` lets readers see what they may, the swarm hears of what is here.
 * Created and ended by `Transfer`.
 */
import { ShoalError } from '../errors.ts'
import { type Digest, digestHex } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import type { Lateness } from '../util/lateness.ts'
import type { Logger } from '../util/logger.ts'
import type { Span, Tracer } from '../util/tracer.ts'
import { BlobHead } from './blob-head.ts'
import { chunkEnd, chunkStart } from './chunk-plan.ts'
import { ChunkProvenance } from './chunk-provenance.ts'
import { ChunkStates } from './chunk-states.ts'
import { ChunkTrust } from './chunk-trust.ts'
import { ClaimBook } from './claim-book.ts'
import { DigestDispute, type DisputedChunk, type Remedy } from './digest-dispute.ts'
import type {
  ChunkFate,
  ChunkHash,
  ChunkStatement,
  Lease,
  LeaseAsk,
  PartialBlob,
  PeerSource,
  SwarmEvents,
  TransferMetrics,
} from './ports.ts'
import { ReadGate } from './read-gate.ts'
import { TransferRuns } from './transfer-runs.ts'
import type { TransferSwarm } from './transfer-swarm.ts'
import { type Ground, Verifier } from './verifier.ts'

/** How long the swarm's first search is waited for when nobody else has what is missing. */
const SEARCH_MS = 2_000

export interface FillingComponents {
  readonly partial: PartialBlob
  readonly swarm: TransferSwarm
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: TransferMetrics
  readonly tracer: Tracer
  /** Of this agent; never, where nothing is said. */
  readonly lateness?: Lateness | undefined
  /** Of the transfer. */
  readonly span: Span
}

export interface FillingInit {
  readonly holdBackMs: number
  /** As `Snapshot.offset`. */
  readonly offset: number
  /** As `ChunkTrust.isCautious`. */
  readonly isCautious: boolean
  /** Nothing more will come. */
  readonly onFailed: (error: ShoalError) => void
}

export class Filling implements SwarmEvents {
  readonly partial: PartialBlob
  readonly chunks: ChunkStates
  readonly provenance: ChunkProvenance
  readonly book: ClaimBook
  readonly runs: TransferRuns
  readonly gate: ReadGate
  readonly head: BlobHead
  readonly #components: FillingComponents
  readonly #init: FillingInit
  readonly #trust: ChunkTrust
  readonly #verifier: Verifier
  readonly #dispute = new DigestDispute()
  #isDisputed = false
  #isRemedying = false
  #isRestarted = false
  #usedPeers = false

  constructor(components: FillingComponents, init: FillingInit) {
    const { partial, clock, log, metrics, tracer, span, lateness } = components
    this.#components = components
    this.#init = init
    this.partial = partial
    const { plan, digest } = partial
    this.chunks = new ChunkStates(plan.count)
    this.provenance = new ChunkProvenance(plan.count)
    this.book = new ClaimBook({ plan, onlyHash: plan.count === 1 ? digestHex(digest) : undefined })
    this.#verifier = new Verifier(partial, {
      accepts: (index, hash) => this.#trust.accepts(index, hash),
      verified: (index, hash, ground) => this.#verified(index, hash, ground),
      rejected: (index, hash, ground) => this.#rejected(index, hash, ground),
    })
    const hashOf = (index: number): ChunkHash | undefined => this.#verifier.hashOf(index)
    const { chunks, book } = this
    const trust = new ChunkTrust({ chunks, book, hashOf })
    trust.isCautious = init.isCautious
    this.#trust = trust
    const events = {
      arrived: (index: number, ground: 'own' | 'word'): void => this.#arrived(index, ground),
      progressed: (): void => this.gate.progressed(),
      compared: (index: number, hash: ChunkHash): 'same' | 'other' => this.#compared(index, hash),
      replacing: (index: number): Promise<boolean> => this.#replacing(index),
      failed: (error: ShoalError): void => this.#nothingMoreComes(error),
      originOut: (): void => this.#originOut(),
      wanted: () => this.gate.wanted(),
    }
    const { swarm } = components
    const sharing = {
      get isNeeded(): boolean {
        return swarm.hasPeers && !trust.isCautious
      },
      get isSearched(): boolean {
        return swarm.isSearched
      },
      ask: (ask: LeaseAsk): void => swarm.lease(ask),
    }
    this.runs = new TransferRuns(
      { partial, chunks, trust, clock, log, metrics, events, sharing, tracer, span, lateness },
      { offset: init.offset },
    )
    const { runs } = this
    this.gate = new ReadGate(
      { partial, chunks, trust, runs, onItsWay: runs.onItsWay, clock },
      { holdBackMs: init.holdBackMs },
    )
    this.head = new BlobHead({ partial, gate: this.gate, runs, metrics, log })
  }

  /** Whether anything here rests on the word of peers. */
  get usedPeers(): boolean {
    return this.#usedPeers
  }

  /** Hash of a chunk that is verified and may be given to peers. */
  sharedHash(index: number): ChunkHash | undefined {
    const isKnown = Number.isInteger(index) && index >= 0 && index < this.chunks.count
    return isKnown && this.chunks.of(index) === 'verified' ? this.#verifier.hashOf(index) : undefined
  }

  /** Takes up what the chunk log of an earlier transfer claims. */
  takeUp(): void {
    const { claimed, unsure } = this.partial
    for (const [index, logged] of claimed) {
      this.chunks.set(index, 'claimed')
      this.provenance.set(index, 'store')
      if (unsure.has(index)) this.#usedPeers = true
      this.#verifier.add(index, { logged, isSure: !unsure.has(index) })
    }
  }

  /** Puts in a blob of one chunk that was fetched from a peer and checked. */
  async putOnly(bytes: Buffer): Promise<void> {
    await this.partial.write(0, [bytes])
    this.#components.metrics.received('peer', bytes.length)
    this.#arrived(0, 'word')
  }

  /** From now on peers are sources too. */
  joinSwarm(): void {
    const { swarm } = this.#components
    if (swarm.hasPeers && !swarm.isSearched) this.runs.news(SEARCH_MS)
    swarm.attach(this)
  }

  /** Resolves when the whole blob matched its digest. @throws ShoalError, the signal's reason */
  async match(signal: AbortSignal): Promise<void> {
    for (;;) {
      const found = await this.#verifier.run(signal)
      signal.throwIfAborted()
      if (found === this.partial.digest) break
      this.#components.log.warn({ digest: this.partial.digest, found }, 'the blob does not have its digest')
      await this.#mismatched(found)
    }
    this.runs.stop('the blob is complete')
    this.head.stop()
    await this.gate.checkHead()
    this.gate.openAll()
    if (this.chunks.count > 1) this.#components.swarm.settle(this.#verifier.hashes, this.book.statements)
  }

  // ------------------------------------------------------------------------------------------------------- chunks

  #arrived(index: number, ground: 'own' | 'word'): void {
    this.chunks.set(index, ground === 'own' ? 'received' : 'arrived')
    this.provenance.set(index, ground === 'own' ? 'origin' : 'peer')
    if (ground === 'word') this.#usedPeers = true
    this.#verifier.add(index, ground)
  }

  #verified(index: number, hash: ChunkHash, ground: Ground): boolean {
    const isOwn = ground === 'own'
    if (isOwn) this.#confirm(index, hash)
    if (typeof ground === 'object' && ground.isSure) this.#trust.sure.add(index)
    this.chunks.set(index, 'verified')
    this.#components.metrics.verified()
    this.#tellFate(index, 'verified', this.runs.accepted(index))
    this.gate.settle(index, hash)
    if (!isOwn) this.#tell(index, undefined)
    this.gate.progressed()
    const evidence = this.book.evidence(index, hash)
    return evidence === 'own' || evidence === 'agreed' || (typeof ground === 'object' && ground.isSure)
  }

  #rejected(index: number, hash: ChunkHash, ground: Ground): void {
    this.chunks.set(index, 'absent')
    const { log } = this.#components
    const { digest } = this.partial
    if (ground !== 'word') {
      log.warn({ digest, chunk: index }, 'a chunk does not have the hash claimed for it')
      this.#tellFate(index, 'rejected')
    } else {
      log.warn({ digest, chunk: index }, 'a peer sent a chunk that is not what anybody states')
      // Part of it may have come from the origin, and been read.
      this.gate.spoil(index)
      this.runs.rejected(index, (peer) => {
        if (!this.book.wasStated(index, hash)) return 'wrong-bytes'
        return this.book.wasStated(index, hash, peer) ? 'own-word' : 'none'
      })
    }
    this.runs.schedule()
  }

  /** The origin says that the chunk has this hash. */
  #confirm(index: number, hash: ChunkHash): void {
    this.runs.originSpoke()
    const liars = this.book.addOwn(index, hash)
    if (liars.length > 0) {
      this.runs.doubt(liars)
      this.#components.log.warn({ digest: this.partial.digest, chunk: index, signers: liars }, 'the origin contradicts')
    }
    this.#tell(index, hash)
  }

  #compared(index: number, hash: ChunkHash): 'same' | 'other' {
    if (this.#verifier.hashOf(index) !== hash) return 'other'
    this.#confirm(index, hash)
    this.gate.progressed()
    return 'same'
  }

  async #replacing(index: number): Promise<boolean> {
    const before = this.#verifier.hashOf(index)
    if (!(await this.#verifier.forget([index]))) return false
    this.#makeAbsent(index, before)
    return true
  }

  #makeAbsent(index: number, before: ChunkHash | undefined): void {
    const { plan } = this.partial
    const kind = this.book.own.has(index) ? 'origin' : 'peer'
    this.#components.metrics.wasted(kind, chunkEnd(plan, index) - chunkStart(plan, index))
    if (this.chunks.of(index) !== 'absent') this.#tellFate(index, 'wasted')
    if (before !== undefined) this.gate.doubt(index, before)
    this.book.dropOwn(index)
    this.#trust.sure.delete(index)
    this.chunks.set(index, 'absent')
  }

  #tellFate(chunk: number, event: ChunkFate['event'], peer?: string): void {
    const source = this.provenance.of(chunk) ?? 'store'
    this.#components.metrics.chunk?.({ digest: this.partial.digest, chunk, source, peer, event })
  }

  #tell(index: number, claim: ChunkHash | undefined): void {
    this.#components.swarm.verified(index, this.chunks.count > 1 ? claim : undefined)
  }

  // ------------------------------------------------------------------------------------------------ a wrong digest

  /** @throws ShoalError DIGEST_MISMATCH when nothing is left to try */
  async #mismatched(found: Digest): Promise<void> {
    this.#isDisputed = true
    const remedy = this.#nextRemedy()
    if (remedy !== undefined) return await this.#carryOut(remedy)
    const error = mismatch(found)
    if (this.gate.anythingRead || this.#isRestarted) throw error
    this.#restart()
  }

  /** Once, and if nobody has seen a byte yet, the blob is fetched anew, if possible without the peers that were believed. */
  #restart(): void {
    this.#isRestarted = true
    this.#isDisputed = false
    this.#clearConstraints()
    for (let index = 0; index < this.chunks.count; index++) {
      this.#makeAbsent(index, undefined)
    }
    this.#trust.isCautious = this.chunks.count > 1
    this.#trust.sure.clear()
    this.chunks.clear()
    this.#verifier.restart()
    this.runs.schedule()
  }

  #nextRemedy(): Remedy | undefined {
    const chunks: DisputedChunk[] = []
    for (let index = 0; index < this.chunks.count; index++) {
      // What an earlier remedy left missing has no hash: every version of it is another one.
      const hash = this.#verifier.hashOf(index) ?? ''
      chunks.push({ index, hash, evidence: this.#trust.sure.has(index) ? 'agreed' : this.book.evidence(index, hash) })
    }
    return this.#dispute.next({ chunks, stated: this.book.bySigner(), hasOrigin: this.runs.hasOrigin })
  }

  async #carryOut(remedy: Remedy): Promise<void> {
    const indexes = remedy.type === 'believe' ? [...remedy.hashes.keys()] : remedy.indexes
    const { log } = this.#components
    log.warn(
      { digest: this.partial.digest, remedy: remedy.type, chunks: indexes.length },
      'fetching doubtful chunks again',
    )
    const before = indexes.map((index) => this.#verifier.hashOf(index))
    // While something is missing the verifier runs; else it has come to its end.
    if (this.chunks.absentCount === 0) this.#verifier.restart(indexes)
    else await this.#verifier.forget(indexes)
    this.#clearConstraints()
    for (const [at, index] of indexes.entries()) {
      if (remedy.type === 'believe') this.#trust.expected.set(index, remedy.hashes.get(index) ?? '')
      else this.#trust.notFromPeers.add(index)
      if (this.chunks.of(index) !== 'absent') this.#makeAbsent(index, before[at])
    }
    this.runs.forgetLacks()
    this.runs.news()
  }

  #clearConstraints(): void {
    this.#trust.expected.clear()
    this.#trust.notFromPeers.clear()
  }

  /** What a remedy asked for can't be had: there may be another one. */
  #nothingMoreComes(error: ShoalError): void {
    if (this.#isRemedying) return
    const isStore = error.code === 'STORE_FULL' || error.code === 'STORE_FAILED'
    if (!this.#isDisputed || isStore) return this.#init.onFailed(error)
    const remedy = this.#nextRemedy()
    if (remedy === undefined) return this.#init.onFailed(mismatch(undefined, error))
    void this.#remedyInBetween(remedy)
  }

  /** What the origin was asked about can't be had from it: peers' word may do. */
  #originOut(): void {
    if (!this.#isDisputed || this.#isRemedying || this.#trust.notFromPeers.size === 0) return
    const remedy = this.#nextRemedy()
    if (remedy !== undefined) void this.#remedyInBetween(remedy)
  }

  async #remedyInBetween(remedy: Remedy): Promise<void> {
    this.#isRemedying = true
    try {
      await this.#carryOut(remedy)
    } catch (error) {
      this.#init.onFailed(mismatch(undefined, error))
    }
    this.#isRemedying = false
    this.runs.schedule()
  }

  // -------------------------------------------------------------------------------------------------------- swarm

  found(peer: PeerSource): void {
    this.runs.addPeer(peer)
    if (this.book.contradicted.has(peer.id)) this.runs.doubt([peer.id])
  }

  gained(): void {
    this.runs.gained()
  }

  left(peer: PeerSource): void {
    this.runs.removePeer(peer)
  }

  stated(statement: ChunkStatement): void {
    const { signer } = statement
    const wasContradicted = this.book.contradicted.has(signer)
    if (this.book.add(statement)) this.gate.progressed()
    if (!wasContradicted && this.book.contradicted.has(signer)) this.runs.doubt([signer])
  }

  banned(signer: string): void {
    this.book.ban(signer)
  }

  leased(lease: Lease): void {
    this.runs.leased(lease)
  }

  searched(): void {
    this.runs.endOfNews()
  }
}

function mismatch(found: Digest | undefined, cause?: unknown): ShoalError {
  return new ShoalError('DIGEST_MISMATCH', 'the bytes do not have the digest', { cause, detail: { found } })
}
