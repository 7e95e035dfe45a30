/**
 * The runs that fill one partial blob, and the sources they ask. Owns which stretch is being fetched by whom and which
 * sources are given up. Used by `Transfer` alone; what to fetch next is `chunk-scheduler`'s decision.
 */
import { hasCode, isOutage, ShoalError, toShoalError } from '../errors.ts'
import { batches } from '../util/batches.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { chunkAt, chunkEnd, chunkStart } from './chunk-plan.ts'
import { type RunView, scheduleRuns } from './chunk-scheduler.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ChunkSource, PartialBlob, SourceBody, TransferMetrics } from './ports.ts'

/** More than this waits in memory between a source and the disk: the source is slowed down. */
const WRITE_QUEUE_BYTES = 512 * 1024
const MAX_RUNS = 4

interface Stop {
  readonly signal: AbortSignal
  abort(reason: unknown): void
}

interface SourceState {
  readonly source: ChunkSource
  readonly key: string
  /** Set when the source is given up. */
  error: ShoalError | undefined
}

interface Run {
  readonly id: number
  readonly source: SourceState
  readonly stop: Stop
  /** The chunk after the last one that the source was asked for. */
  readonly askedEnd: number
  /** Others were running when it began. */
  readonly isExtra: boolean
  readonly startedAt: number
  readonly startedFrom: number
  next: number
  end: number
  /** The next byte to be written. */
  position: number
  /** What is being written at `position`. */
  writing: readonly Uint8Array[]
}

export interface RunsEvents {
  /** All bytes of the chunk are on disk. */
  arrived(index: number): void
  /** Some bytes are on disk. */
  progressed(): void
  /** Nothing more will come: every source is given up, or the store refuses. */
  failed(error: ShoalError): void
  /** Chunks that readers wait for, the longest waiting first. */
  wanted(): readonly number[]
}

export interface RunsComponents {
  readonly partial: PartialBlob
  readonly chunks: ChunkStates
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: TransferMetrics
  readonly events: RunsEvents
}

export class TransferRuns {
  readonly #components: RunsComponents
  readonly #sources: SourceState[] = []
  readonly #runs = new Map<number, Run>()
  #maxRuns = MAX_RUNS
  #lastId = 0
  #stopped = false

  constructor(components: RunsComponents) {
    this.#components = components
  }

  /** @param key tells sources apart; one of which another is in use is not taken */
  addSource(source: ChunkSource, key: string): void {
    if (this.#sources.some((known) => known.key === key && known.error === undefined)) return
    this.#sources.push({ source, key, error: undefined })
  }

  /** Takes over the body of the whole blob that was opened before its size was known, from a source that was added. */
  adopt(source: ChunkSource, body: SourceBody, stop: Stop): void {
    const state = this.#sources.find((known) => known.source === source)
    if (state === undefined) throw new ShoalError('INTERNAL', 'the source was not added')
    this.#launch(state, 0, this.#components.chunks.count, stop, body)
  }

  /** Starts what is to be fetched now. */
  schedule(): void {
    if (this.#stopped) return
    const { chunks, partial, events } = this.#components
    const steps = scheduleRuns({
      plan: partial.plan,
      isMissing: (index) => chunks.of(index) === 'absent' && !this.#isCovered(index),
      runs: [...this.#runs.values()].map((run) => this.#view(run)),
      wanted: events.wanted(),
      maxRuns: this.#maxRuns,
    })
    for (const step of steps) {
      if (step.type === 'shorten') this.#shorten(step.run, step.to)
      else this.#startAnywhere(step.from, step.to)
    }
  }

  /** The byte up to which chunk `index` is on disk and may be read, if an origin is sending it now. */
  readableWithin(index: number): number | undefined {
    for (const run of this.#runs.values()) {
      if (run.next === index && isTrusted(run)) return run.position
    }
    return undefined
  }

  /** What an origin has sent from `position` on and is being written to disk; nothing if it sends elsewhere. */
  bytesBeingWritten(position: number): Uint8Array | undefined {
    for (const run of this.#runs.values()) {
      if (!isTrusted(run)) continue
      let start = run.position
      for (const piece of run.writing) {
        if (start <= position && position < start + piece.length) return piece.subarray(position - start)
        start += piece.length
      }
    }
    return undefined
  }

  /** Ends every run that is still fetching; nothing starts any more. */
  stop(reason: string): void {
    this.#stopped = true
    for (const run of this.#runs.values()) {
      if (run.next < run.end) run.stop.abort(new DOMException(reason, 'AbortError'))
    }
  }

  #view(run: Run): RunView {
    const ageMs = this.#components.clock() - run.startedAt
    const received = run.writing.reduce((sum, piece) => sum + piece.length, run.position)
    const bytesPerSecond = ((received - run.startedFrom) * 1000) / Math.max(1, ageMs)
    // Readers may be ahead of the disk, but never of what has arrived.
    const next = Math.min(run.end, chunkAt(this.#components.partial.plan, received))
    return { id: run.id, next, end: run.end, ageMs, bytesPerSecond }
  }

  #isCovered(index: number): boolean {
    for (const run of this.#runs.values()) if (run.next <= index && index < run.end) return true
    return false
  }

  #shorten(id: number, to: number): void {
    const run = this.#runs.get(id)
    if (run !== undefined) run.end = to
  }

  /** Gives what `failed` was to fetch back to the run that was cut short for it. */
  #extendBefore(failed: Run): void {
    const before = [...this.#runs.values()].find((run) => run.end === failed.next && run.next < run.end)
    if (before !== undefined) before.end = Math.min(before.askedEnd, failed.end)
  }

  #startAnywhere(from: number, to: number): void {
    const source = this.#sources.find((candidate) => candidate.error === undefined)
    if (source !== undefined) {
      this.#launch(source, from, to, new AbortController())
      return
    }
    const error = this.#sources.at(-1)?.error ?? new ShoalError('ORIGIN_UNAVAILABLE', 'nobody to ask for the blob')
    this.#components.events.failed(error)
  }

  #launch(source: SourceState, from: number, to: number, stop: Stop, body?: SourceBody): void {
    const { chunks, partial } = this.#components
    const position = chunks.reached(from) ?? chunkStart(partial.plan, from)
    const run: Run = {
      id: ++this.#lastId,
      source,
      stop,
      isExtra: this.#runs.size > 0,
      startedAt: this.#components.clock(),
      startedFrom: position,
      askedEnd: to,
      next: from,
      end: to,
      position,
      writing: [],
    }
    this.#runs.set(run.id, run)
    void this.#carryOut(run, body)
  }

  async #carryOut(run: Run, opened: SourceBody | undefined): Promise<void> {
    const first = run.next
    try {
      await this.#fetch(run, opened)
    } catch (error) {
      run.stop.abort(error)
      this.#judge(run, toShoalError(error), run.next > first)
    }
    this.#runs.delete(run.id)
    this.#keepReached(run)
    this.schedule()
  }

  #keepReached(run: Run): void {
    const { chunks, partial } = this.#components
    if (run.next >= chunks.count || chunks.of(run.next) !== 'absent' || !isTrusted(run)) return
    if (run.position > chunkStart(partial.plan, run.next)) chunks.setReached(run.next, run.position)
  }

  async #fetch(run: Run, opened: SourceBody | undefined): Promise<void> {
    const { plan } = this.#components.partial
    const end = run.askedEnd === plan.count ? undefined : chunkEnd(plan, run.askedEnd - 1)
    const body = opened ?? (await run.source.source.open({ start: run.position, end }, { signal: run.stop.signal }))
    if (body.totalSize !== undefined && body.totalSize !== plan.size) {
      const detail = { before: plan.size, now: body.totalSize }
      throw new ShoalError('DIGEST_MISMATCH', 'the blob has another size than what is here of it', { detail })
    }
    const stop = (): void => run.stop.abort(new DOMException('enough', 'AbortError'))
    for await (const batch of batches(body.bytes, { maxBytes: WRITE_QUEUE_BYTES, stop })) {
      await this.#write(run, batch)
      // A body that is to be read to its end is, so that its connection can be used again.
      if (run.next >= run.end && run.end < run.askedEnd) return
    }
    if (plan.size === 0) this.#arrived(run)
    if (run.next < run.end) throw new ShoalError('ORIGIN_MISBEHAVED', 'the body ended early')
  }

  async #write(run: Run, batch: readonly Uint8Array[]): Promise<void> {
    const { partial, metrics, events } = this.#components
    const { plan } = partial
    const { buffers, bytes } = trim(batch, chunkEnd(plan, run.end - 1) - run.position)
    if (bytes === 0) return
    run.writing = buffers
    events.progressed()
    await partial.write(run.position, buffers)
    run.writing = []
    run.position += bytes
    metrics.received(run.source.source.kind, bytes)
    while (run.next < run.end && run.position >= chunkEnd(plan, run.next)) this.#arrived(run)
    events.progressed()
  }

  #arrived(run: Run): void {
    const index = run.next
    run.next += 1
    this.#components.events.arrived(index)
  }

  #judge(run: Run, error: ShoalError, gained: boolean): void {
    if (this.#stopped || run.next >= run.end) return
    if (hasCode(error, 'STORE_FULL', 'STORE_FAILED')) {
      this.#components.events.failed(error)
      return
    }
    this.#components.log.warn(
      { digest: this.#components.partial.digest, source: run.source.source.id, chunk: run.next, err: error },
      'a source failed in the middle of a blob',
    )
    if (run.isExtra && isOutage(error)) {
      // The source may have refused it for being one too many: from now on it gets one at a time.
      this.#maxRuns = 1
      if (!gained) this.#extendBefore(run)
      return
    }
    // It has tried again by itself: without a chunk gained there is no hope.
    if (!gained || !isOutage(error)) run.source.error = error
  }
}

/** Whether its bytes may be read before they are verified: the origin's word is all there is. */
function isTrusted(run: Run): boolean {
  return run.source.source.kind === 'origin'
}

/** The first `limit` bytes of `batch`, without copying. */
function trim(batch: readonly Uint8Array[], limit: number): { buffers: Uint8Array[]; bytes: number } {
  const buffers: Uint8Array[] = []
  let bytes = 0
  for (const piece of batch) {
    if (bytes === limit) break
    const wanted = piece.length > limit - bytes ? piece.subarray(0, limit - bytes) : piece
    buffers.push(wanted)
    bytes += wanted.length
  }
  return { buffers, bytes }
}
