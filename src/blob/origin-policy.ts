import type { SourceView } from './chunk-scheduler.ts'
import { LeasePolicy } from './lease-policy.ts'
import type { PeerPolicy } from './peer-policy.ts'
import type { PlannedRun, RunDraft } from './run-draft.ts'

/**
 * A reader ahead of a run waits for it if it is no further than this, in bytes or in time at the run's rate; else it
 * gets a run of its own. A shorter run costs what is on the wire already, so a fast one is not cut for little.
 */
const REACH_BYTES = 4 * 1024 * 1024
const REACH_SECONDS = 0.25
/** Younger than this, a run has no rate yet. */
const MIN_AGE_MS = 100
/** While there are peers, a run of the origin keeps this much ahead to itself. */
const AHEAD_SECONDS = 0.25
const AHEAD_CHUNKS = { min: 2, max: 16 } as const
/** While there are peers, one request to the origin is for so much: it is not broken off, whoever brings the same meanwhile. */
const REQUEST_SECONDS = 0.5
const REQUEST_BYTES = { min: 1024 * 1024, max: 16 * 1024 * 1024 } as const
/** So long a second word for what one peer states is waited for before the origin is asked for a chunk to compare. */
const SECOND_WORD_MS = 40
/** What is left of a request is read to its end. */
const WORTH_CUTTING_BYTES = 4 * 1024 * 1024
/** Peers that bring this share of the origin's rate take over. */
const TAKE_OVER_SHARE = 0.8
/** Peers have so long to show how fast they are, and may be slower than the origin if they are done as soon as this. */
const RATED_MS = 500
/** The same after the last chunk that this agent got under a lease. */
const TURN_OVER_MS = 3_000
const WORTH_HELPING_SECONDS = 0.5
/** An origin that brought less may be faster than it seems: it is tried where few agents do so. */
const KNOWN_BYTES = 1024 * 1024
const FEW_PEERS = 3
/** It helps where peers bring less than this share of its rate, divided by those that pull at once: then all of them are slow, and help for each would cost a copy. */
const HELP_SHARE = { few: 0.5, many: 0.1 } as const

/** So long a reader waits for a peer that is not to be asked just now, before leave is asked for to fetch its chunk from the origin. */
const PUT_OFF_MS = 1_500

/** What the origin is asked for. Part of `chunk-scheduler`. */
export class OriginPolicy {
  readonly #draft: RunDraft
  readonly #peers: PeerPolicy
  readonly #source: SourceView | undefined
  readonly #leases: LeasePolicy

  constructor(draft: RunDraft, peers: PeerPolicy) {
    this.#draft = draft
    this.#peers = peers
    this.#source = draft.snapshot.sources.find(({ kind }) => kind === 'origin')
    this.#leases = new LeasePolicy(draft, peers, this.#source)
  }

  /** Sees to it that the origin brings the chunk, if it is its affair. */
  serve(chunk: number): void {
    if (this.#source === undefined) return
    const run = this.#draft.runOf(chunk)
    if (run === undefined) {
      if (this.#draft.snapshot.stateOf(chunk) === 'there' || this.#isCheckedOn(chunk)) return
      if (!this.#leases.allows(chunk)) return
      if (this.#isFull) this.#cutShortWhatNobodyAwaits()
      else this.#start(this.#source, chunk)
    } else if (run.kind === 'origin' && run.id !== undefined && this.#isBeyondReach(run, chunk) && !this.#isFull) {
      if (!this.#leases.allows(chunk)) return
      const { end } = run
      this.#draft.resize(run, chunk)
      this.#start(this.#source, chunk, end)
    }
  }

  /**
   * An origin without ranges has to send what peers lack: then it sends all that is missing from there on, for a request for
   * each gap would cost the whole blob as often.
   */
  get mustSendRest(): boolean {
    if (this.#source?.ignoresRange !== true || !this.#peers.areThere) return false
    return this.#draft.open.some((chunk) => this.#isGap(chunk))
  }

  /** Leaves to the peers what they bring as well and as fast; goes on with what they do not. */
  giveWay(): void {
    if (this.#source?.ignoresRange === true) return
    for (const run of this.#draft.runs) {
      if (run.kind !== 'origin' || run.isSpare || run.id === undefined || run.next >= run.end) continue
      if ((run.askedEnd - run.next) * this.#draft.snapshot.plan.chunkBytes < WORTH_CUTTING_BYTES) continue
      const most = this.#peers.lack(run.end - 1) ? run.end : run.askedEnd
      const limit = Math.min(most, run.next + this.#ahead(run))
      let to = run.next + 1
      while (to < limit && (to < run.end || !this.#draft.isCovered(to)) && this.#isNeeded(to, run)) to += 1
      this.#draft.resize(run, to)
    }
  }

  /** Fetches what nobody else will. */
  fill(): void {
    if (this.#leases.isShared) this.#fillShared()
    else this.#fillAlone()
  }

  /** What it has leave for; what peers are too slow with. */
  #fillShared(): void {
    if (this.#source === undefined) return
    const { open } = this.#draft
    for (let chunk = open.next(0); chunk >= 0; chunk = open.next(chunk + 1)) {
      if (!this.#leases.has(chunk) || !this.#isGap(chunk)) continue
      if (this.#isFull) break
      this.#start(this.#source, chunk)
    }
    const isBusy = this.#draft.runs.some((run) => run.kind === 'origin' && !run.isSpare && run.next < run.end)
    const place = isBusy ? undefined : this.#placeToHelp(this.#source)
    if (place !== undefined) this.#start(this.#source, place)
    const isGap = (chunk: number): boolean => this.#isGap(chunk) && !this.#isPutOff(chunk)
    this.#leases.ask({ isGap, isDoubtful: (chunk) => this.#peers.isUnconfirmed(chunk) })
  }

  /** A peer that has it will be asked again soon, and no reader has waited for it for long. */
  #isPutOff(chunk: number): boolean {
    const { snapshot } = this.#draft
    if (!snapshot.isWithResting(chunk)) return false
    const mostMs = this.#leases.patience(PUT_OFF_MS)
    return !snapshot.wanted.some((reader) => reader.chunk === chunk && reader.waitedMs >= mostMs)
  }

  #placeToHelp(source: SourceView): number | undefined {
    const { open, snapshot } = this.#draft
    if (open.isEmpty) return undefined
    const helps = this.#isFasterThanPeers(source) && !this.#isCold
    if (!helps && !this.#leases.isOverdue) return undefined
    // what others fetch too at the same time is no help to them
    const isShared = this.#leases.others > 0 && !this.#leases.isOverdue
    const first = isShared ? Math.floor(snapshot.offset * snapshot.plan.count) : (snapshot.wanted[0]?.chunk ?? 0)
    const place = open.findFrom(first, (chunk) => !this.#isCheckedOn(chunk))
    return place < 0 ? undefined : place
  }

  #fillAlone(): void {
    const { runs, snapshot } = this.#draft
    const isBusy = runs.some(
      // The next request is under way while the last chunk of one arrives.
      (run) => !run.isSpare && run.askedEnd > run.next + 1 && (run.kind === 'origin' || !this.#peers.areThere),
    )
    if (this.#source === undefined || isBusy || this.#isFull) return
    if (this.mustSendRest && runs.some(({ kind, isSpare }) => kind === 'peer' && !isSpare)) return
    const { count } = snapshot.plan
    const helps = this.#isFasterThanPeers(this.#source)
    const place = helps && !this.#isCold ? snapshot.wanted[0]?.chunk : undefined
    const first =
      place ?? (this.#peers.areThere && !this.#source.ignoresRange ? Math.floor(snapshot.offset * count) : 0)
    const matches = (chunk: number): boolean => (helps ? !this.#isCheckedOn(chunk) : this.#isGap(chunk))
    const chunk = this.#draft.open.findFrom(first, matches)
    if (chunk >= 0) this.#start(this.#source, chunk)
  }

  /** Whether a reader would be done later with the peers that are there than without any. */
  #isFasterThanPeers(source: SourceView): boolean {
    const { wanted, ageMs, plan } = this.#draft.snapshot
    if (!this.#peers.areThere || wanted.length === 0 || ageMs < RATED_MS) return false
    // as long as they all fetched from the origin, their links were not for each other
    if (this.#leases.others > 0 && this.#leases.ownMs < this.#leases.patience(TURN_OVER_MS)) return false
    const pulling = Math.max(this.#peers.count, this.#leases.others)
    const areFew = pulling <= FEW_PEERS
    const isUnknown = !source.ignoresRange && source.bytesReceived < KNOWN_BYTES && areFew
    const share = areFew ? Math.max(HELP_SHARE.many, HELP_SHARE.few / Math.max(1, pulling)) : HELP_SHARE.many
    const fast = isUnknown ? Number.POSITIVE_INFINITY : (source.bytesPerSecond ?? 0) * share
    const rate = this.#peers.expectedRate(fast)
    if (rate >= fast) return false
    const enough = (rate * WORTH_HELPING_SECONDS) / plan.chunkBytes
    return this.#draft.open.size > enough
  }

  /** Asks for a chunk that another source is late with. @returns whether it could */
  hurry(chunk: number): boolean {
    if (this.#source === undefined || this.#isFull) return false
    if (!this.#leases.isQuiet && !this.#leases.isAwaitedTooLong(chunk)) return false
    this.#draft.start(this.#source, chunk, chunk + 1, { isSpare: true })
    return true
  }

  /** Whether something is missing that no peer has either. */
  get #isCold(): boolean {
    return this.#peers.lackSome(this.#draft.open)
  }

  /** Whether the chunk waits for the word of its signers to be confirmed: by a second one, or by a chunk of the origin's. */
  #isCheckedOn(chunk: number): boolean {
    if (!this.#peers.isUnconfirmed(chunk)) return false
    return this.#draft.snapshot.ageMs < SECOND_WORD_MS || this.#draft.runs.some(({ kind }) => kind === 'origin')
  }

  get #isFull(): boolean {
    const running = this.#draft.runs.reduce((count, run) => count + (run.kind === 'origin' ? 1 : 0), 0)
    return running >= (this.#source?.maxRuns ?? 0)
  }

  #isBeyondReach({ next, view }: PlannedRun, chunk: number): boolean {
    const bytes = (chunk - next) * this.#draft.snapshot.plan.chunkBytes
    if (view === undefined || view.ageMs < MIN_AGE_MS || bytes <= REACH_BYTES) return false
    return bytes > view.bytesPerSecond * REACH_SECONDS
  }

  #start(source: SourceView, from: number, until?: number): void {
    const { snapshot } = this.#draft
    const kind = snapshot.stateOf(from)
    const end = until ?? this.#endOf(from, (chunk) => snapshot.stateOf(chunk) === kind)
    if (this.#leases.has(from) || (this.#leases.isShared && !this.#peers.have(from))) {
      return this.#draft.start(source, from, Math.min(end, this.#leases.endOf(from)))
    }
    if (!this.#peers.areThere) return this.#draft.start(source, from, end)
    if (this.#peers.isUnconfirmed(from)) return this.#draft.start(source, from, from + 1)
    if (source.ignoresRange) return this.#draft.start(source, from, this.#lastOpen(from) + 1)
    const { chunkBytes } = snapshot.plan
    const wanted = (source.bytesPerSecond ?? 0) * REQUEST_SECONDS
    const bytes = Math.min(REQUEST_BYTES.max, Math.max(REQUEST_BYTES.min, wanted))
    this.#draft.start(source, from, Math.min(end, from + Math.max(1, Math.floor(bytes / chunkBytes))))
  }

  #isGap(chunk: number): boolean {
    return this.#draft.isOpen(chunk) && !this.#peers.canBring(chunk) && !this.#isCheckedOn(chunk)
  }

  /** Of those before the next one that somebody else is bringing. */
  #lastOpen(from: number): number {
    let last = this.#endOf(from, () => true) - 1
    while (last > from && !this.#draft.isOpen(last)) last -= 1
    return last
  }

  #endOf(from: number, goesOn: (chunk: number) => boolean): number {
    let end = from + 1
    while (end < this.#draft.snapshot.plan.count && !this.#draft.isCovered(end) && goesOn(end)) end += 1
    return end
  }

  #ahead({ view }: PlannedRun): number {
    const { chunkBytes } = this.#draft.snapshot.plan
    const chunks = Math.ceil(((view?.bytesPerSecond ?? 0) * AHEAD_SECONDS) / chunkBytes)
    return Math.min(AHEAD_CHUNKS.max, Math.max(AHEAD_CHUNKS.min, chunks))
  }

  #isNeeded(chunk: number, run: PlannedRun): boolean {
    const { snapshot } = this.#draft
    const state = snapshot.stateOf(chunk)
    if (state === 'there') return false
    const isAwaited = snapshot.wanted.some((reader) => reader.chunk <= chunk && reader.chunk >= run.next - 1)
    if (state === 'held') return isAwaited
    if (!this.#peers.canBring(chunk)) return true
    if (isAwaited && !snapshot.isUndisputed(chunk)) return true
    return this.#peers.bytesPerSecond < (run.view?.bytesPerSecond ?? 0) * TAKE_OVER_SHARE
  }

  #cutShortWhatNobodyAwaits(): void {
    const { wanted } = this.#draft.snapshot
    const idle = this.#draft.runs.find(
      (run) =>
        run.id !== undefined &&
        run.kind === 'origin' &&
        !wanted.some(({ chunk }) => run.next <= chunk && chunk < run.end) &&
        run.end > run.next + 1,
    )
    if (idle !== undefined) this.#draft.resize(idle, idle.next + 1)
  }
}
