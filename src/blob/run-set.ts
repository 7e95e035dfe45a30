/**
 * Requests to sources that run now, each for a stretch of one blob: asks, hands what comes to the `ChunkWriter`, and tells how it
 * ended. Owns the requests. Part of `TransferRuns`, which decides what is asked of whom and what is thought of it.
 */
import { ShoalError } from '../errors.ts'
import { batches } from '../util/batches.ts'
import type { Clock } from '../util/clock.ts'
import { raceAbort } from '../util/race-abort.ts'
import { RateMeter } from '../util/rate-meter.ts'
import type { Span, Tracer } from '../util/tracer.ts'
import { chunkEnd, chunkStart } from './chunk-plan.ts'
import type { ChunkStates } from './chunk-states.ts'
import { BringerBook, ChunkWriter, type ChunkWriterEvents } from './chunk-writer.ts'
import type { PartialBlob, SourceBody, TransferMetrics } from './ports.ts'
import { Run, type Stop } from './run.ts'
import type { TransferSource } from './transfer-source.ts'

/** More than this waits in memory between a source and the disk: the source is slowed down. */
const WRITE_QUEUE_BYTES = 512 * 1024
/**
 * A write costs the same however little it is: from a slow source, some is waited for. Nobody reads a peer's chunk before its end, and behind a slow link
 * each of many sends a packet now and then; but before long it would be taken for silent.
 */
const WRITE_BYTES = 64 * 1024
const GATHER_MS = { origin: 20, peer: 250 } as const

export interface RunSetHooks {
  /** Another source had the run's chunk first. */
  overtaken(source: TransferSource): void
  /** @param first the chunk with which it began; @param failure undefined: its body ended as it should */
  ended(run: Run, first: number, failure: unknown): void
  /** Bytes of its chunk `index` were taken. */
  progressed(run: Run, index: number, bytes: number): void
  /** Something else may be started now. */
  moved(): void
}

export interface RunSetComponents {
  readonly partial: PartialBlob
  readonly chunks: ChunkStates
  readonly clock: Clock
  readonly metrics: TransferMetrics
  readonly tracer: Tracer
  readonly span: Span
  readonly events: ChunkWriterEvents
  readonly hooks: RunSetHooks
}

/** Chunks [from, to) that are asked for. */
export interface Stretch {
  readonly from: number
  readonly to: number
  /** The chunk after the last one that the source is asked for. */
  readonly askedEnd: number
  readonly isSpare: boolean
}

export interface OpenedBody {
  readonly body: SourceBody
  /** The position up to which it was asked for. */
  readonly end: number
}

interface Running {
  readonly run: Run
  readonly ended: Promise<void>
}

export class RunSet {
  /** Who brought what is not checked yet. */
  readonly bringers = new BringerBook()
  readonly #components: RunSetComponents
  readonly #runs = new Map<number, Running>()
  readonly #writer: ChunkWriter
  /** What peers bring of late. */
  readonly #fromPeers: RateMeter
  #lastId = 0

  constructor(components: RunSetComponents) {
    this.#components = components
    const { partial, chunks, metrics, events, hooks } = components
    const runs = (): Iterable<Run> => this.all()
    const cutShort = (run: Run): Promise<void> => this.cutShort(run)
    const overtake = (run: Run): Promise<void> => {
      hooks.overtaken(run.source)
      return this.cutShort(run)
    }
    const { bringers } = this
    this.#writer = new ChunkWriter({ partial, chunks, metrics, events, runs, cutShort, overtake, bringers })
    this.#fromPeers = new RateMeter(components.clock())
  }

  get size(): number {
    return this.#runs.size
  }

  *all(): Generator<Run> {
    for (const { run } of this.#runs.values()) yield run
  }

  /** Those that are still fetching. */
  fetching(): Run[] {
    return [...this.all()].filter((run) => run.next < run.end)
  }

  of(id: number): Run | undefined {
    return this.#runs.get(id)?.run
  }

  /** Of all peers together, of late. */
  peersBytesPerSecond(now: number): number {
    return this.#fromPeers.bytesPerSecond(now)
  }

  /** Whether an origin is sending the chunk just now, so that nothing is to be decided about it. */
  isOnItsWay(index: number): boolean {
    return this.readableWithin(index) !== undefined
  }

  /** Chunks that some source is sending just now. */
  arriving(): ReadonlySet<number> {
    const indexes = new Set<number>()
    for (const run of this.all()) if (run.next < run.end) indexes.add(run.next)
    return indexes
  }

  /** The byte up to which chunk `index` is on disk and may be read, if an origin is sending it now. */
  readableWithin(index: number): number | undefined {
    for (const run of this.all())
      if (run.isTrusted && run.isWriterOf(index) && run.next === index && run.kept === undefined) return run.position
    return undefined
  }

  /** What an origin has sent from `position` on and is being written to disk; nothing if it sends elsewhere. */
  bytesBeingWritten(position: number): Uint8Array | undefined {
    for (const run of this.all()) {
      if (!run.isTrusted) continue
      let start = run.position
      for (const piece of run.writing) {
        if (start <= position && position < start + piece.length) return piece.subarray(position - start)
        start += piece.length
      }
    }
    return undefined
  }

  /** Ends all that are still fetching. */
  stop(reason: string): void {
    for (const run of this.fetching()) run.stop.abort(new DOMException(reason, 'AbortError'))
  }

  cutShortAll(source: TransferSource): void {
    for (const run of this.all()) if (run.source === source) void this.cutShort(run)
  }

  /** @param opened its body, if there is one already */
  start(source: TransferSource, stretch: Stretch, stop: Stop, opened?: OpenedBody): void {
    const { from, to, askedEnd, isSpare } = stretch
    const { chunks, partial, clock } = this.#components
    const isFresh = !isSpare && chunks.of(from) === 'absent'
    const run = new Run({
      id: ++this.#lastId,
      source,
      stop,
      askedEnd,
      isExtra: [...this.all()].some((other) => other.isTrusted),
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
    this.#components.hooks.ended(run, first, failure)
    span.set({ 'shoal.bytes': run.received, 'shoal.chunks': run.next - first, 'shoal.cut': run.isCut })
    span.end(run.isCut || run.next >= run.end ? undefined : failure)
    this.#writer.leave(run)
    this.#components.hooks.moved()
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
      await this.#take(run, batch)
      run.lastByteAt = clock()
      const bytes = bytesOf(batch)
      if (!run.isTrusted) this.#fromPeers.add(bytes, run.lastByteAt)
      if (!run.isSpare) this.#components.hooks.progressed(run, before, bytes)
      if (run.next > before && run.askedEnd > run.end) this.#components.hooks.moved()
      // A body that is to be read to its end is, so that its connection can be used again.
      if (run.next >= run.end && run.end < run.askedEnd) return
    }
    if (plan.size === 0) this.#writer.arrived(run)
    // The rest of the chunk that it ends in was not asked for.
    if (opened !== undefined && run.position >= opened.end) run.isCut = true
    else if (run.next < run.end)
      throw new ShoalError(run.isTrusted ? 'ORIGIN_MISBEHAVED' : 'PEER_MISBEHAVED', 'the body ended early')
  }

  /** What the disk says about it is why the run ends, before the body that is left is stopped. */
  async #take(run: Run, batch: Uint8Array[]): Promise<void> {
    try {
      await this.#writer.take(run, batch)
    } catch (error) {
      run.stop.abort(error)
      throw error
    }
  }

  /** Resolves when it writes nothing any more. */
  async cutShort(run: Run): Promise<void> {
    run.isCut = true
    run.stop.abort(new DOMException('somebody else was faster', 'AbortError'))
    await this.#runs.get(run.id)?.ended
  }
}

function bytesOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}
