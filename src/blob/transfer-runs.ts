/**
 * The runs that fill one partial blob, and the sources they ask. Owns which stretch is being fetched by whom and which
 * sources are given up. Used by `Transfer` alone; what to fetch next is `chunk-scheduler`'s decision, where bytes go is
 * `ChunkWriter`'s.
 */
import { hasCode, isOutage, ShoalError, toShoalError } from '../errors.ts'
import { batches } from '../util/batches.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { raceAbort } from '../util/race-abort.ts'
import { RateMeter } from '../util/rate-meter.ts'
import type { Span, Tracer } from '../util/tracer.ts'
import { chunkEnd, chunkStart } from './chunk-plan.ts'
import { type Snapshot, type Step, scheduleRuns, type WantedChunk } from './chunk-scheduler.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ChunkTrust } from './chunk-trust.ts'
import { BringerBook, ChunkWriter, type ChunkWriterEvents } from './chunk-writer.ts'
import { LeaseBook } from './lease-book.ts'
import type { ChunkSource, Lease, LeaseAsk, PartialBlob, PeerSource, SourceBody, TransferMetrics } from './ports.ts'
import { Run, type Stop } from './run.ts'
import { snapshotOf } from './transfer-snapshot.ts'
import type { TransferSource } from './transfer-source.ts'
import { TransferSources } from './transfer-sources.ts'

/** More than this waits in memory between a source and the disk: the source is slowed down. */
const WRITE_QUEUE_BYTES = 512 * 1024
/** A write costs the same however little it is: from a slow source, some is waited for. Nobody reads a peer's chunk before its end. */
const WRITE_BYTES = 64 * 1024
const GATHER_MS = { origin: 20, peer: 50 } as const
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

interface OpenedBody {
  readonly body: SourceBody
  /** The position up to which it was asked for. */
  readonly end: number
}

interface Running {
  readonly run: Run
  readonly ended: Promise<void>
}

export class TransferRuns {
  readonly #components: RunsComponents
  readonly #offset: number
  readonly #sources = new TransferSources()
  readonly #runs = new Map<number, Running>()
  readonly #bringers = new BringerBook()
  readonly #writer: ChunkWriter
  readonly #leases: LeaseBook
  /** What peers bring of late. */
  readonly #fromPeers: RateMeter
  #lastId = 0
  #stopped = false
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
    const { partial, chunks, metrics, events } = components
    const runs = (): Iterable<Run> => this.#all()
    const cutShort = (run: Run): Promise<void> => this.#cutShort(run)
    const overtake = (run: Run): Promise<void> => this.#overtake(run)
    const bringers = this.#bringers
    this.#fromPeers = new RateMeter(components.clock())
    this.#leases = new LeaseBook(components, { chunks: partial.plan.count })
    this.#writer = new ChunkWriter({ partial, chunks, metrics, events, runs, cutShort, overtake, bringers })
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
    for (const run of this.#all()) if (run.source === gone) void this.#cutShort(run)
    this.schedule()
  }

  /** Peers have more, or may be found for so long: it is not yet hopeless. */
  news(ms = NEWS_MS): void {
    this.#newsUntil = Math.max(this.#newsUntil, this.#components.clock() + ms)
    this.schedule()
  }

  /** Some peer has more. Many peers say so many times a second: they are heard together. */
  gained(): void {
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
    this.#launch(state, { from: 0, to: askedEnd, askedEnd, isSpare: false }, stop, { body, end: bodyEnd })
  }

  /** Starts what is to be fetched now. */
  schedule(): void {
    if (this.#stopped) return
    for (const step of scheduleRuns(this.#snapshot())) this.#carryOutStep(step)
    if (!this.#stopped) this.#watch()
  }

  /** Whether an origin is sending the chunk just now, so that nothing is to be decided about it. */
  isOnItsWay(index: number): boolean {
    return this.readableWithin(index) !== undefined
  }

  /** Chunks that some source is sending just now. */
  arriving(): ReadonlySet<number> {
    const indexes = new Set<number>()
    for (const run of this.#all()) if (run.next < run.end) indexes.add(run.next)
    return indexes
  }

  /** The byte up to which chunk `index` is on disk and may be read, if an origin is sending it now. */
  readableWithin(index: number): number | undefined {
    for (const run of this.#all())
      if (run.isTrusted && run.isWriterOf(index) && run.next === index && run.kept === undefined) return run.position
    return undefined
  }

  /** What an origin has sent from `position` on and is being written to disk; nothing if it sends elsewhere. */
  bytesBeingWritten(position: number): Uint8Array | undefined {
    for (const run of this.#all()) {
      if (!run.isTrusted) continue
      let start = run.position
      for (const piece of run.writing) {
        if (start <= position && position < start + piece.length) return piece.subarray(position - start)
        start += piece.length
      }
    }
    return undefined
  }

  /**
   * The chunk was checked and is not what it should be.
   * @param faultOf what is to be thought of who brought it: it made up the bytes, or what it stated of them itself counts no
   * more, or it may have been misled
   */
  rejected(index: number, faultOf: (peer: string) => 'wrong-bytes' | 'own-word' | 'none'): void {
    const { partial, metrics } = this.#components
    const bringer = this.#bringers.take(index)
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
    const bringer = this.#bringers.take(index)
    this.#leases.came(index, bringer?.source.kind ?? 'peer')
    bringer?.broughtGood()
    return bringer?.peer?.id
  }

  /** What these peers state was contradicted: they are not asked for now. */
  doubt(peers: Iterable<string>): void {
    const doubted = this.#sources.doubt(new Set(peers))
    for (const run of this.#all()) if (doubted.includes(run.source)) void this.#cutShort(run)
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
    for (const run of this.#all()) if (run.next < run.end) run.stop.abort(new DOMException(reason, 'AbortError'))
  }

  *#all(): Generator<Run> {
    for (const { run } of this.#runs.values()) yield run
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
      sources: this.#sources.usable(now),
      runs: [...this.#all()].filter((run) => run.next < run.end),
      chunks,
      trust,
      bringers: this.#bringers,
      peersBytesPerSecond: this.#fromPeers.bytesPerSecond(now),
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
      if (source !== undefined) this.#launch(source, step, new AbortController())
      if (step.isSpare) this.#components.metrics.duplicated(source?.source.kind ?? 'peer')
      return
    }
    if (step.type === 'ask-lease') {
      const { gaps, fetching, most } = step
      const ask = { size: this.#components.partial.plan.size, gaps, fetching, most }
      this.#leases.asked(ask)
      this.#components.sharing.ask(ask)
      return
    }
    const run = this.#runs.get(step.run)?.run
    if (run === undefined) return
    if (step.type === 'resize') run.end = Math.min(run.askedEnd, Math.max(run.next, step.to))
    else if (run.isTrusted) {
      run.source.rests(this.#components.clock())
      void this.#cutShort(run)
    } else this.#stalled(run.source)
  }

  /** Looks again in a while; fails when there is nothing left to hope for. */
  #watch(): void {
    clearTimeout(this.#timer)
    const { chunks, clock } = this.#components
    const now = clock()
    const times = this.#sources.wakeTimes(now)
    if (now < this.#beganAt + SETTLE_MS) times.push(this.#beganAt + SETTLE_MS)
    // What others were given leave for may not come.
    if (this.#components.sharing.isNeeded && this.hasOrigin && chunks.absentCount > 0) times.push(now + WATCH_MS)
    if ([...this.#all()].some((run) => !run.isTrusted || run.isSpare)) times.push(now + WATCH_MS)
    else if (this.#runs.size === 0 && chunks.absentCount > 0) {
      if (this.#newsUntil > now) times.push(Math.min(this.#newsUntil, now + WATCH_MS))
      if (times.length === 0) return this.#components.events.failed(this.#sources.reason)
    }
    if (times.length > 0) this.#timer = setTimeout(() => this.schedule(), Math.max(1, Math.min(...times) - now)).unref()
  }

  // --------------------------------------------------------------------------------------------------- fetching it

  #launch(
    source: TransferSource,
    { from, to, askedEnd, isSpare }: { from: number; to: number; askedEnd: number; isSpare: boolean },
    stop: Stop,
    opened?: OpenedBody,
  ): void {
    const { chunks, partial, clock } = this.#components
    const isFresh = !isSpare && chunks.of(from) === 'absent'
    const run = new Run({
      id: ++this.#lastId,
      source,
      stop,
      askedEnd,
      isExtra: [...this.#all()].some((other) => other.isTrusted),
      isSpare,
      startedAt: clock(),
      next: from,
      end: to,
      position: (isFresh ? chunks.reached(from) : undefined) ?? chunkStart(partial.plan, from),
    })
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    this.#runs.set(run.id, { run, ended })
    const { tracer, span: parent } = this.#components
    const { kind, id } = source.source
    const attributes = { 'shoal.source': kind, 'shoal.source_id': id, 'shoal.chunk': from, 'shoal.spare': isSpare }
    const span = tracer.startSpan('run', attributes, { parent })
    void tracer.within(span, () => this.#carryOut(run, opened, span)).then(resolve)
  }

  async #carryOut(run: Run, opened: OpenedBody | undefined, span: Span): Promise<void> {
    const first = run.next
    let failure: unknown
    try {
      // A source that ignores the end of its run must not hold up the transfer.
      await raceAbort(this.#fetch(run, opened), run.stop.signal)
    } catch (error) {
      failure = error
      run.stop.abort(error)
    }
    await run.written.catch(() => undefined)
    this.#runs.delete(run.id)
    this.#judge(run, first, failure)
    span.set({ 'shoal.bytes': run.received, 'shoal.chunks': run.next - first, 'shoal.cut': run.isCut })
    span.end(run.isCut || run.next >= run.end ? undefined : failure)
    this.#writer.leave(run)
    this.schedule()
  }

  async #fetch(run: Run, opened: OpenedBody | undefined): Promise<void> {
    const { partial, clock } = this.#components
    const { plan } = partial
    const isToTheEnd = run.askedEnd === plan.count && run.isTrusted
    const end = isToTheEnd ? undefined : chunkEnd(plan, run.askedEnd - 1)
    const body =
      opened?.body ??
      (await run.source.source.open(
        { start: run.position, end },
        {
          signal: run.stop.signal,
          onAsked: () => {
            run.lastByteAt = clock()
          },
        },
      ))
    run.lastByteAt ??= clock()
    if (body.totalSize !== undefined && body.totalSize !== plan.size) {
      const detail = { before: plan.size, now: body.totalSize }
      throw new ShoalError('DIGEST_MISMATCH', 'the blob has another size than what is here of it', { detail })
    }
    if (body.ignoresRange === true) run.source.foundWithoutRanges()
    const stop = (): void => run.stop.abort(new DOMException('enough', 'AbortError'))
    const gatherMs = run.isTrusted ? GATHER_MS.origin : GATHER_MS.peer
    const gathering = { maxBytes: WRITE_QUEUE_BYTES, enoughBytes: WRITE_BYTES, gatherMs, stop }
    for await (const batch of batches(body.bytes, gathering)) {
      const before = run.next
      await this.#writer.take(run, batch)
      run.lastByteAt = clock()
      if (!run.isTrusted) this.#fromPeers.add(bytesOf(batch), run.lastByteAt)
      if (run.next > before && run.askedEnd > run.end) this.schedule()
      // A body that is to be read to its end is, so that its connection can be used again.
      if (run.next >= run.end && run.end < run.askedEnd) return
    }
    if (plan.size === 0) this.#writer.arrived(run)
    // The rest of the chunk that it ends in was not asked for.
    if (opened !== undefined && run.position >= opened.end) run.isCut = true
    else if (run.next < run.end)
      throw new ShoalError(run.isTrusted ? 'ORIGIN_MISBEHAVED' : 'PEER_MISBEHAVED', 'the body ended early')
  }

  async #cutShort(run: Run): Promise<void> {
    run.isCut = true
    run.stop.abort(new DOMException('somebody else was faster', 'AbortError'))
    await this.#runs.get(run.id)?.ended
  }

  async #overtake(run: Run): Promise<void> {
    if (run.source.wasLate()) this.#stalled(run.source)
    await this.#cutShort(run)
  }

  #stalled(source: TransferSource): void {
    source.peer?.report({ type: 'stalled' })
    if (source.stalled(this.#components.clock())) {
      this.#giveUp(source, new ShoalError('STALLED', 'the peer sends nothing, or too slowly'))
    } else for (const run of this.#all()) if (run.source === source) void this.#cutShort(run)
  }

  #giveUp(source: TransferSource, error: ShoalError): void {
    source.error ??= error
    for (const run of this.#all()) if (run.source === source) void this.#cutShort(run)
  }

  #judge(run: Run, first: number, failure: unknown): void {
    const now = this.#components.clock()
    if (run.next > first) run.source.brought(run.received, now - run.startedAt)
    if (failure === undefined || this.#stopped || run.isCut || run.next >= run.end) return
    const error = toShoalError(failure)
    if (hasCode(error, 'STORE_FULL', 'STORE_FAILED')) {
      this.#components.events.failed(error)
      return
    }
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
    const hasOthers = this.#newsUntil > now || [...this.#all()].some((other) => !other.isTrusted)
    run.source.failed(error, { now, gained, hasOthers, from: run.next, to: run.end })
    if (run.isTrusted && !this.hasOrigin) this.#components.events.originOut()
  }

  /** Gives what `failed` was to fetch back to the run that was cut short for it. */
  #extendBefore(failed: Run): void {
    for (const run of this.#all()) {
      if (!run.isTrusted || run.end !== failed.next || run.next >= run.end) continue
      run.end = Math.min(run.askedEnd, failed.end)
      return
    }
  }
}

function bytesOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}
