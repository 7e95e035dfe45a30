import { hasCode, isOutage, type ShoalError } from '../errors.ts'
import type { SourceView } from './chunk-scheduler.ts'
import { ChunkSet } from './chunk-set.ts'
import type { ChunkSource, PeerSource } from './ports.ts'
import { type Moment, SourceAt } from './source-at.ts'

/** Requests to one peer at a time: the next one is under way while one is answered. */
const PEER_RUNS = 2
const ORIGIN_RUNS = 4
/** A source that could not be had is asked again after so long, as long as there are others. */
const ORIGIN_REST_MS = 5_000
const PEER_REST_MS = 500
/** A peer that was so often so late that another source was faster is left. */
const MAX_LATE = 3
/** Stalls after which a peer is left. Where everybody's links are full, some are nobody's fault: each request that it answers makes up for a part of one. */
const MAX_STALLS = 3
const MADE_UP = 0.25
const STALL_REST_MS = 2_000
/** Answers "busy" in a row after which a peer is left: some 13 s. */
const MAX_BUSY = 8
/** What a peer gives to others just now it is asked for again after so long. They have it sooner, maybe. */
const CROWDED_MS = 500
/** So often it may say so of one chunk until it does not count as having it, and of any in a row, having brought nothing, until it is left. */
const MAX_CROWDED = { ofChunk: 12, inRow: 24 } as const
/** Failures in a row without a chunk gained after which a peer is left. */
const MAX_FAILURES = 2
/** A peer that serves others before for so long, and brings nothing, is left. */
const MAX_PUT_OFF_MS = 60_000
/**
 * Chunks of a peer that may be asked for or wait for their check, beside as many as it brought that were good: so much is lost
 * by a peer that gives nothing but wrong bytes.
 */
const TRIAL_CHUNKS = 2
/** Weight of the newest run in the rate. */
const NEWEST = 0.5
/** A shorter answer of the origin says little about its rate: its first bytes may have waited somewhere near. */
const MIN_ORIGIN_RUN_MS = 50

/** One source of a transfer: what it did so far, and whether it may be asked. */
export class TransferSource {
  readonly source: ChunkSource
  readonly peer: PeerSource | undefined
  /** Tells sources apart: the identity for origins, the id for peers. */
  readonly key: string
  readonly id: string
  /** Set when the source is given up. */
  error: ShoalError | undefined
  #maxRuns: number
  /** Requests to it that are no runs. */
  #besides = 0
  #restUntil = 0
  /** The origin has contradicted what it states: what it gives would not be taken. */
  #isDoubted = false
  /** Since when it has brought nothing and served others before. */
  #putOffSince: number | undefined
  #late = 0
  #stalls = 0
  #failures = 0
  #busy = 0
  #bytesPerSecond: number | undefined
  #bytesReceived = 0
  #ignoresRange = false
  #goodChunks = 0
  /** Chunks that it turned out not to have. */
  #lacks: Set<number> | undefined
  /** Chunks that it gave to others when it was asked, with the time from which on it may be asked again. */
  #crowded: Map<number, { until: number; times: number }> | undefined
  #crowdedInRow = 0

  constructor(source: ChunkSource, key: string) {
    this.source = source
    this.peer = isPeer(source) ? source : undefined
    this.key = key
    this.id = `${source.kind} ${key}`
    this.#maxRuns = source.kind === 'peer' ? PEER_RUNS : ORIGIN_RUNS
  }

  /** When something may be asked of it that may not be asked now. */
  wakeTimes(now: number): number[] {
    const crowded = this.#crowded?.values().map(({ until }) => until)
    return [this.#restUntil, ...(crowded ?? [])].filter((time) => time > now)
  }

  has(index: number): boolean {
    return (this.peer === undefined || this.peer.has(index)) && this.#lacks?.has(index) !== true
  }

  /** Adds the chunks that it has, of a peer. */
  addTo(chunks: ChunkSet): void {
    if (this.peer === undefined) return
    if (this.#lacks === undefined) {
      chunks.addBytes(this.peer.bits)
      return
    }
    const own = new ChunkSet(chunks.count)
    own.addBytes(this.peer.bits)
    for (const index of this.#lacks) own.delete(index)
    chunks.addAll(own)
  }

  /** It has the chunk and may be asked for it now. */
  gives(index: number, now: number): boolean {
    return this.has(index) && (this.#crowded?.get(index)?.until ?? now) <= now
  }

  isUsable(now: number): boolean {
    return this.error === undefined && this.#restUntil <= now && !this.#isDoubted
  }

  /** A request to it that is no run takes the place of one. @returns to be called once, when it has ended */
  beside(): () => void {
    this.#besides += 1
    return () => {
      this.#besides -= 1
    }
  }

  /** It may be asked again soon. */
  isResting(now: number): boolean {
    return this.error === undefined && this.#restUntil > now && !this.#isDoubted
  }

  get maxRuns(): number {
    return Math.max(0, this.#maxRuns - this.#besides)
  }

  /** @param unjudged chunks that it was asked for, or brought, and that are not known to be good or bad */
  chunksLeft(unjudged: number): number {
    return this.peer === undefined ? Number.POSITIVE_INFINITY : TRIAL_CHUNKS + this.#goodChunks - unjudged
  }

  get bytesPerSecond(): number | undefined {
    return this.#bytesPerSecond
  }

  get bytesReceived(): number {
    return this.#bytesReceived
  }

  get ignoresRange(): boolean {
    return this.#ignoresRange
  }

  get isSlow(): boolean {
    return this.#late > 0
  }

  view(moment: Moment): SourceView {
    return new SourceAt(this, moment)
  }

  /** A run has brought something. */
  brought(bytes: number, ms: number): void {
    this.#putOffSince = undefined
    const rate = (bytes * 1_000) / Math.max(this.peer === undefined ? MIN_ORIGIN_RUN_MS : 1, ms)
    this.#bytesReceived += bytes
    this.#bytesPerSecond =
      this.#bytesPerSecond === undefined ? rate : this.#bytesPerSecond * (1 - NEWEST) + rate * NEWEST
    this.#failures = 0
    this.#busy = 0
    // Where everybody's links are full, now and then one is late.
    this.#late = Math.max(0, this.#late - 1)
    this.#crowdedInRow = 0
    this.peer?.report({ type: 'delivered', bytes, ms })
  }

  /** Another source was asked for its chunk later, and had it first. @returns whether it was late too often */
  wasLate(): boolean {
    this.#late += 1
    return this.peer !== undefined && this.#late >= MAX_LATE
  }

  /** It sent nothing, or too little, for too long. @returns whether it did so too often */
  stalled(now: number): boolean {
    this.#stalls += 1
    this.#restUntil = now + STALL_REST_MS * this.#stalls
    return this.#stalls >= MAX_STALLS
  }

  /** A run ended as it should. */
  answered(): void {
    this.#stalls = Math.max(0, this.#stalls - MADE_UP)
  }

  /** A chunk that it brought is what it should be. */
  broughtGood(): void {
    this.#goodChunks += 1
  }

  /** It is not asked until `forgetLacks`. */
  doubt(): void {
    this.#isDoubted = true
  }

  /** It does not give this chunk, or not the version of it that is wanted. */
  lacks(index: number): void {
    this.#lacks ??= new Set()
    this.#lacks.add(index)
  }

  /** It is left alone for a while. */
  rests(now: number): void {
    this.#restUntil = now + (this.peer === undefined ? ORIGIN_REST_MS : PEER_REST_MS)
  }

  /** What it was thought to lack is to be asked for again. */
  forgetLacks(): void {
    this.#lacks = undefined
    this.#isDoubted = false
  }

  /** It sends the whole blob, whatever is asked for. */
  foundWithoutRanges(): void {
    this.#ignoresRange = true
    this.#maxRuns = 1
  }

  /** It may have refused a run for being one too many: from now on it gets one at a time. */
  takesOneAtATime(): void {
    this.#maxRuns = 1
  }

  /** @param options.gained whether the failed run brought a chunk; `hasOthers`: somebody else could be asked meanwhile */
  failed(
    error: ShoalError,
    options: { now: number; gained: boolean; hasOthers: boolean; from: number; to: number },
  ): void {
    const { now, gained, hasOthers, from, to } = options
    if (this.peer === undefined) {
      // It has tried again by itself: without a chunk gained there is no hope for now.
      if (!isOutage(error) || (!gained && !hasOthers)) this.error = error
      else if (!gained) this.rests(now)
      return
    }
    if (hasCode(error, 'PEER_CROWDED')) {
      this.#wasCrowded(from, now, error)
      return
    }
    if (hasCode(error, 'PEER_PUTS_OFF')) {
      this.#wasPutOff(now, error)
      return
    }
    const isResting = this.#restUntil > now
    this.rests(now)
    if (hasCode(error, 'PEER_BUSY')) {
      if (!isResting) this.#busy += 1
      this.#restUntil = now + PEER_REST_MS * Math.min(4, this.#busy)
      if (this.#busy >= MAX_BUSY) this.error = error
      return
    }
    if (hasCode(error, 'PEER_LACKS')) {
      for (let index = from; index < to; index++) this.lacks(index)
      this.#restUntil = now
      return
    }
    this.peer.report({ type: 'failed' })
    this.#failures = gained ? 0 : this.#failures + 1
    if (this.#failures >= MAX_FAILURES || hasCode(error, 'PEER_MISBEHAVED', 'DIGEST_MISMATCH')) this.error = error
  }

  /** It is not to blame, and whoever is served before has it soon. */
  #wasPutOff(now: number, error: ShoalError): void {
    this.#restUntil = Math.max(this.#restUntil, now + CROWDED_MS)
    this.#putOffSince ??= now
    if (now - this.#putOffSince >= MAX_PUT_OFF_MS) this.error = error
  }

  #wasCrowded(index: number, now: number, error: ShoalError): void {
    this.#crowded ??= new Map()
    const times = (this.#crowded.get(index)?.times ?? 0) + 1
    this.#crowded.set(index, { until: now + CROWDED_MS, times })
    if (times >= MAX_CROWDED.ofChunk) this.lacks(index)
    this.#crowdedInRow += 1
    if (this.#crowdedInRow >= MAX_CROWDED.inRow) this.error = error
  }
}

function isPeer(source: ChunkSource): source is PeerSource {
  return source.kind === 'peer'
}
