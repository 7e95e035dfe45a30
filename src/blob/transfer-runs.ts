/**
 * Fills one partial blob: what is to be fetched from whom, and what is thought of the sources. Owns the sources, the leases and the
 * time of the next look. Used by `Transfer` alone; what to fetch next is `chunk-scheduler`'s decision, how it is fetched `RunSet`'s
 * affair, where bytes go `ChunkWriter`'s.
 */
import { hasCode, isOutage, ShoalError, toShoalError } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import type { Lateness } from '../util/lateness.ts'
import type { Logger } from '../util/logger.ts'
import type { Span, Tracer } from '../util/tracer.ts'
import { chunkEnd, chunkStart } from './chunk-plan.ts'
import { type Snapshot, type Step, scheduleRuns, type WantedChunk } from './chunk-scheduler.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ChunkTrust } from './chunk-trust.ts'
import type { ChunkWriterEvents } from './chunk-writer.ts'
import { LeaseBook } from './lease-book.ts'
import type { ChunkSource, Lease, LeaseAsk, PartialBlob, PeerSource, SourceBody, TransferMetrics } from './ports.ts'
import type { Run, Stop } from './run.ts'
import { RunSet, type RunSetHooks } from './run-set.ts'
import { snapshotOf } from './transfer-snapshot.ts'
import type { TransferSource } from './transfer-source.ts'
import { TransferSources } from './transfer-sources.ts'

/** How often it is looked whether peers are late while any runs. */
const WATCH_MS = 200
/** So long it is waited for others to be found before leave is asked for. */
const SETTLE_MS = 100
/** So long it takes until it counts what peers have gained. */
const GAINED_MS = 25
/** So long news of the swarm are waited for when nobody has what is missing. */
const NEWS_MS = 5_000
export interface RunsEvents extends ChunkWriterEvents {
  /** Nothing more will come: every source is given up, or the store refuses. */
  failed(error: ShoalError): void
  /** No origin can be asked for now. */
  originOut(): void
  /** Chunks that readers wait for, the longest waiting first. */
  wanted(): readonly WantedChunk[]
}

export interface RunsComponents {
  readonly partial: PartialBlob
  readonly chunks: ChunkStates
  readonly trust: ChunkTrust
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: TransferMetrics
  readonly tracer: Tracer
  /** Of this agent; never, where nothing is said. */
  readonly lateness?: Lateness | undefined
  /** Of the transfer. */
  readonly span: Span
  readonly events: RunsEvents
  readonly sharing: OriginSharing
}

/** With whom the origin is shared. */
export interface OriginSharing {
  /** There are other agents, that may want the same. */
  readonly isNeeded: boolean
  /** Those that could be found by now were. */
  readonly isSearched: boolean
  /** Answered by `leased`. */
  ask(ask: LeaseAsk): void
}

export interface RunsInit {
  /** As `Snapshot.offset`. */
  readonly offset: number
}

export class TransferRuns {
  readonly #components: RunsComponents
  readonly #offset: number
  readonly #sources = new TransferSources()
  readonly #runs: RunSet
  readonly #leases: LeaseBook
  #stopped = false
  #spares = 0
  readonly #beganAt: number
  #ownAt: number
  #newsUntil = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #listening: NodeJS.Timeout | undefined

  constructor(components: RunsComponents, init: RunsInit) {
    this.#components = components
    this.#offset = init.offset
    this.#ownAt = components.clock()
    this.#beganAt = this.#ownAt
    this.#leases = new LeaseBook(components, { chunks: components.partial.plan.count })
    const hooks: RunSetHooks = {
      overtaken: (source) => {
        if (source.wasLate()) this.#stalled(source)
      },
      ended: (run, first, failure) => this.#judge(run, first, failure),
      progressed: (run, index, bytes) => this.#leases.progressed(index, bytes, run.source.source.kind),
      moved: () => this.schedule(),
    }
    this.#runs = new RunSet({ ...components, hooks })
  }

  /** Whether an origin may be asked now. */
  get hasOrigin(): boolean {
    return this.#sources.hasOrigin(this.#components.clock())
  }

  /** As `TransferSources.add`. */
  addSource(source: ChunkSource, key: string): void {
    this.#sources.add(source, key)
  }

  /** The origin could not be had when the transfer began. */
  originFailed(source: ChunkSource, error: ShoalError): void {
    this.#sources
      .of(source)
      .failed(error, { now: this.#components.clock(), gained: false, hasOthers: true, from: 0, to: 0 })
  }

  /** The origin is not asked for so long, for peers may be found meanwhile. */
  holdOrigin(ms: number): void {
    this.#sources.holdOrigin(this.#components.clock() + ms)
  }

  /** One that states another size than what is here of the blob is not taken, nor one that was given up. */
  addPeer(peer: PeerSource): void {
    if (peer.size === this.#components.partial.plan.size && this.#sources.addPeer(peer)) this.news(NEWS_MS)
  }

  removePeer(peer: PeerSource): void {
    const gone = this.#sources.removePeer(peer)
    if (gone === undefined) return
    this.#runs.cutShortAll(gone)
    this.schedule()
  }

  /** Peers have more, or may be found for so long: it is not yet hopeless. */
  news(ms = NEWS_MS): void {
    this.#newsUntil = Math.max(this.#newsUntil, this.#components.clock() + ms)
    this.schedule()
  }

  /** Some peer has more. Many peers say so many times a second: they are heard together. */
  gained(): void {
    this.#leases.heard()
    this.#newsUntil = Math.max(this.#newsUntil, this.#components.clock() + NEWS_MS)
    if (this.#stopped) return
    this.#listening ??= setTimeout(() => {
      this.#listening = undefined
      this.schedule()
    }, GAINED_MS).unref()
  }

  /** Nobody else will be found. */
  endOfNews(): void {
    if (!this.#sources.hasPeers) this.#newsUntil = 0
    this.schedule()
  }

  /**
   * Takes over the body that was opened before the size of the blob was known, from a source that was added.
   * @param askedBytes of the beginning of the blob; undefined for all of it
   */
  adopt(
    source: ChunkSource,
    body: SourceBody,
    { stop, askedBytes }: { stop: Stop; askedBytes: number | undefined },
  ): void {
    const state = this.#sources.of(source)
    const { plan } = this.#components.partial
    const isPart = askedBytes !== undefined && askedBytes < plan.size
    const askedEnd = isPart ? Math.ceil(askedBytes / plan.chunkBytes) : plan.count
    const bodyEnd = isPart ? askedBytes : plan.size
    this.#runs.start(state, { from: 0, to: askedEnd, askedEnd, isSpare: false }, stop, { body, end: bodyEnd })
  }

  /** A request that is no run, to a source that was added, counts as one. @returns to be called once, when it has ended */
  beside(source: ChunkSource): () => void {
    const end = this.#sources.of(source).beside()
    return () => {
      end()
      this.schedule()
    }
  }

  /** Starts what is to be fetched now. */
  schedule(): void {
    if (this.#stopped) return
    for (const step of scheduleRuns(this.#snapshot())) this.#carryOutStep(step)
    if (!this.#stopped) this.#watch()
  }

  /** What is on its way, for those who read it meanwhile. */
  get onItsWay(): Pick<RunSet, 'isOnItsWay' | 'arriving' | 'readableWithin' | 'bytesBeingWritten'> {
    return this.#runs
  }

  /**
   * The chunk was checked and is not what it should be.
   * @param faultOf what is to be thought of who brought it: it made up the bytes, or what it stated of them itself counts no
   * more, or it may have been misled
   */
  rejected(index: number, faultOf: (peer: string) => 'wrong-bytes' | 'own-word' | 'none'): void {
    const { partial, metrics } = this.#components
    const bringer = this.#runs.bringers.take(index)
    const bytes = chunkEnd(partial.plan, index) - chunkStart(partial.plan, index)
    metrics.wasted(bringer?.source.kind ?? 'peer', bytes)
    metrics.rejected(bringer?.source.kind ?? 'peer')
    const source = bringer?.source.kind ?? 'peer'
    metrics.chunk?.({ digest: partial.digest, chunk: index, source, peer: bringer?.peer?.id, event: 'rejected' })
    if (bringer === undefined) return
    const fault = faultOf(bringer.key)
    if (fault === 'own-word') this.doubt([bringer.key])
    if (fault !== 'wrong-bytes') bringer.lacks(index)
    else if (bringer.peer !== undefined) {
      bringer.peer.report({ type: 'wrong-bytes', index, bytes })
      this.#giveUp(bringer, new ShoalError('PEER_MISBEHAVED', 'the bytes are not what anybody states'))
    }
  }

  /** The chunk is what it should be. @returns id of the peer that brought it alone */
  accepted(index: number): string | undefined {
    const bringer = this.#runs.bringers.take(index)
    if (this.#leases.came(index, bringer?.source.kind ?? 'peer')) this.#components.metrics.withoutLeave?.()
    bringer?.broughtGood()
    return bringer?.peer?.id
  }

  /** What these peers state was contradicted: they are not asked for now. */
  doubt(peers: Iterable<string>): void {
    for (const source of this.#sources.doubt(new Set(peers))) this.#runs.cutShortAll(source)
  }

  /** The answer to what was asked for. */
  leased(lease: Lease): void {
    this.#leases.leased(lease)
    this.schedule()
  }

  /** The origin's word about a chunk is known: it can confirm others. */
  originSpoke(): void {
    this.#ownAt = this.#components.clock()
  }

  /** Whoever did not have the wanted version of a chunk may be asked again. */
  forgetLacks(): void {
    this.#sources.forgetLacks()
  }

  /** Ends every run that is still fetching; nothing starts any more. */
  stop(reason: string): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#listening)
    this.#runs.stop(reason)
  }

  // ------------------------------------------------------------------------------------------------- what to fetch

  #snapshot(): Snapshot {
    const { partial, chunks, trust, events, clock, sharing } = this.#components
    const now = clock()
    return snapshotOf({
      plan: partial.plan,
      now,
      beganAt: this.#beganAt,
      ownAt: this.#ownAt,
      offset: this.#offset,
      sources: this.#sources,
      runs: this.#runs.fetching(),
      chunks,
      trust,
      bringers: this.#runs.bringers,
      peersBytesPerSecond: this.#runs.peersBytesPerSecond(now),
      spares: this.#spares,
      wanted: events.wanted(),
      leases: sharing.isNeeded ? this.#leases.view(now, this.#isSettled(now)) : undefined,
    })
  }

  /** Whether it is known who has what: before, chunks seem to be missing that others have. */
  #isSettled(now: number): boolean {
    return this.#components.sharing.isSearched || now - this.#beganAt >= SETTLE_MS
  }

  #carryOutStep(step: Step): void {
    if (step.type === 'start') {
      const source = this.#sources.byId(step.source)
      if (source !== undefined) this.#runs.start(source, step, new AbortController())
      if (step.isSpare) {
        this.#spares += 1
        this.#components.metrics.duplicated(source?.source.kind ?? 'peer')
      }
      return
    }
    if (step.type === 'ask-lease') {
      const { gaps, fetching, most } = step
      const ask = { size: this.#components.partial.plan.size, gaps, fetching, most }
      this.#leases.asked(ask)
      this.#components.sharing.ask(ask)
      return
    }
    const run = this.#runs.of(step.run)
    if (run === undefined) return
    if (step.type === 'resize') run.end = Math.min(run.askedEnd, Math.max(run.next, step.to))
    else if (run.isTrusted) {
      run.source.rests(this.#components.clock())
      void this.#runs.cutShort(run)
    } else this.#stalled(run.source)
  }

  /** Looks again in a while; fails when there is nothing left to hope for. */
  #watch(): void {
    clearTimeout(this.#timer)
    const { chunks, clock } = this.#components
    const now = clock()
    const times = this.#sources.wakeTimes(now)
    if (this.#components.sharing.isNeeded && this.hasOrigin && chunks.absentCount > 0) {
      if (now < this.#beganAt + SETTLE_MS) times.push(this.#beganAt + SETTLE_MS)
      // What others were given leave for may not come.
      times.push(now + WATCH_MS)
    }
    if (this.#runs.all().some((run) => !run.isTrusted || run.isSpare)) times.push(now + WATCH_MS)
    else if (this.#runs.size === 0 && chunks.absentCount > 0) {
      if (this.#newsUntil > now) times.push(Math.min(this.#newsUntil, now + WATCH_MS))
      if (times.length === 0) return this.#components.events.failed(this.#sources.reason)
    }
    if (times.length > 0) this.#timer = setTimeout(() => this.schedule(), Math.max(1, Math.min(...times) - now)).unref()
  }

  // ----------------------------------------------------------------------------------------- what is thought of sources

  #stalled(source: TransferSource): void {
    source.peer?.report({ type: 'stalled' })
    if (source.stalled(this.#components.clock())) {
      this.#giveUp(source, new ShoalError('STALLED', 'the peer sends nothing, or too slowly'))
    } else this.#runs.cutShortAll(source)
  }

  #giveUp(source: TransferSource, error: ShoalError): void {
    source.error ??= error
    this.#runs.cutShortAll(source)
  }

  #judge(run: Run, first: number, failure: unknown): void {
    const now = this.#components.clock()
    if (run.next > first) run.source.brought(run.received, now - run.startedAt)
    if (failure === undefined && !run.isCut) run.source.answered()
    if (failure === undefined || this.#stopped || run.isCut || run.next >= run.end) return
    const error = toShoalError(failure)
    if (hasCode(error, 'STORE_FULL', 'STORE_FAILED')) {
      this.#components.events.failed(error)
      return
    }
    if (!hasCode(error, 'PEER_CROWDED', 'PEER_PUTS_OFF'))
      this.#components.log.warn(
        { digest: this.#components.partial.digest, source: run.source.source.id, chunk: run.next, err: error },
        'a source failed in the middle of a blob',
      )
    const gained = run.next > first
    if (run.isTrusted && run.isExtra && isOutage(error)) {
      run.source.takesOneAtATime()
      if (!gained) this.#extendBefore(run)
      return
    }
    const hasOthers = this.#newsUntil > now || this.#runs.all().some((other) => !other.isTrusted)
    run.source.failed(error, { now, gained, hasOthers, from: run.next, to: run.end })
    if (run.isTrusted && !this.hasOrigin) this.#components.events.originOut()
  }

  /** Gives what `failed` was to fetch back to the run that was cut short for it. */
  #extendBefore(failed: Run): void {
    for (const run of this.#runs.all()) {
      if (!run.isTrusted || run.end !== failed.next || run.next >= run.end) continue
      run.end = Math.min(run.askedEnd, failed.end)
      return
    }
  }
}
