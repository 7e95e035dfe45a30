/** What of a blob is fetched from the origin while there are other agents that may want the same. Part of `chunk-scheduler`. */

import { patience } from '../util/lateness.ts'
import type { LeasesView, SourceView } from './chunk-scheduler.ts'
import type { PeerPolicy } from './peer-policy.ts'
import type { ChunkRange } from './ports.ts'
import type { RunDraft } from './run-draft.ts'

/** One ask is for what the origin brings in so long: who comes later has the rest to share. */
const ASK_SECONDS = 0.5
const ASK_BYTES = { min: 1024 * 1024, max: 64 * 1024 * 1024 } as const
const MAX_GAPS = 64
/**
 * A transfer that came by nothing for so long goes to the origin without leave: a member may be given leases and fetch nothing,
 * or grant none. Later where no reader waits, or this agent itself is late.
 */
const OVERDUE_MS = 3_000
const OVERDUE_UNREAD_MS = 10_000
/**
 * As long as many agents go on telling what they got, the origin sends to them what it can, and going there without leave would take it from all: they are
 * waited for a while longer. News of this age count; in the beginning there may be none yet, for the first chunks of an origin that sends to many at once take long.
 */
const SPREADING_MS = 10_000
const MANY = 4
/** So long a reader waits for its next chunk while others come. */
const READER_MS = 12_000
const NEWS_MS = 3_000
/**
 * The same when what was missing everywhere becomes available in the swarm more slowly than this share of what this agent alone would fetch from the origin: where chunks are
 * leased as they should be, all agents together keep the origin as busy as one would. Before it is known how fast that is, so many chunks per second are expected.
 */
const BEHIND_SHARE = 0.5
/** Twice as long as it takes to leave who brings nothing: only then it shows how fast the others are. */
const BEHIND_AFTER_MS = 2 * OVERDUE_MS
const EXPECTED_CHUNKS = 2

interface Needs {
  /** Nobody has the chunk or is bringing it. */
  readonly isGap: (chunk: number) => boolean
  /** Peers have it, and nothing has confirmed what is said of it. */
  readonly isDoubtful: (chunk: number) => boolean
}

export class LeasePolicy {
  readonly #draft: RunDraft
  readonly #peers: PeerPolicy
  readonly #leases: LeasesView | undefined
  readonly #source: SourceView | undefined
  #isOverdue: boolean | undefined

  /** @param source the origin; one without ranges sends the whole blob each time, so that it can't be shared */
  constructor(draft: RunDraft, peers: PeerPolicy, source: SourceView | undefined) {
    this.#draft = draft
    this.#peers = peers
    this.#source = source
    this.#leases = source?.ignoresRange === true ? undefined : draft.snapshot.leases
  }

  /** Whether there are agents to share the origin with. */
  get isShared(): boolean {
    return this.#leases !== undefined
  }

  /** Agents that want the blob, without this one. */
  get others(): number {
    return Math.max(0, (this.#leases?.members ?? 1) - 1)
  }

  /** Since a chunk last came from the origin under a lease. */
  get ownMs(): number {
    return this.#leases?.ownMs ?? Number.POSITIVE_INFINITY
  }

  /** Milliseconds that are waited where `baseMs` would do if this agent were not late. */
  patience(baseMs: number): number {
    return patience(baseMs, this.#leases?.lateMs ?? 0)
  }

  has(chunk: number): boolean {
    return this.#leases?.has(chunk) === true
  }

  /** Whether a reader's next chunk may be fetched from the origin. */
  allows(chunk: number): boolean {
    if (this.#leases === undefined || this.has(chunk) || this.isOverdue || this.isAwaitedTooLong(chunk)) return true
    const { snapshot } = this.#draft
    // Only the origin's word changes anything about it.
    if (snapshot.stateOf(chunk) === 'held') return true
    return this.#peers.have(chunk) && !snapshot.isUndisputed(chunk)
  }

  get isOverdue(): boolean {
    if (this.#leases === undefined) return false
    const { quietMs, withoutLeave, lateMs } = this.#leases
    const overdueMs = this.#overdueMs
    const isAwaited = this.#draft.snapshot.wanted.some(({ waitedMs }) => waitedMs >= overdueMs)
    const isUrgent = isAwaited || withoutLeave > 0
    this.#isOverdue ??= quietMs >= (isUrgent ? overdueMs : patience(OVERDUE_UNREAD_MS, lateMs)) || this.#isBehind
    return this.#isOverdue
  }

  /** Whether nothing has come for so long that a chunk which peers are late with is worth a second request to the origin. */
  get isQuiet(): boolean {
    return (this.#leases?.quietMs ?? Number.POSITIVE_INFINITY) >= this.#overdueMs
  }

  /** Whether a reader waits for this chunk for so long that it comes from the origin, however much else comes from others. */
  isAwaitedTooLong(chunk: number): boolean {
    return this.#draft.snapshot.wanted.some((reader) => reader.chunk === chunk && reader.waitedMs >= READER_MS)
  }

  /** Never more than fourfold `OVERDUE_MS`. */
  get #overdueMs(): number {
    const ownMs = this.patience(OVERDUE_MS)
    return this.#isSpreading ? Math.max(SPREADING_MS, ownMs) : ownMs
  }

  get #isSpreading(): boolean {
    if (this.#leases === undefined || this.#leases.members < MANY) return false
    const isBeginning = this.#draft.snapshot.ageMs < SPREADING_MS
    return isBeginning || this.#leases.unheardMs < this.patience(NEWS_MS)
  }

  get #isBehind(): boolean {
    const { plan, ageMs, missing, wanted } = this.#draft.snapshot
    const grace = this.patience(wanted.length > 0 ? BEHIND_AFTER_MS : OVERDUE_UNREAD_MS)
    if (ageMs <= grace || this.#leases === undefined) return false
    const lacking = this.#peers.without(missing)
    let gaps = 0
    for (let chunk = lacking.next(0); chunk >= 0; chunk = lacking.next(chunk + 1)) if (!this.has(chunk)) gaps += 1
    if (gaps === 0) return false
    const came = plan.count - gaps - this.#leases.allWithoutLeave
    const perSecond = (this.#source?.bytesPerSecond ?? EXPECTED_CHUNKS * plan.chunkBytes) / plan.chunkBytes
    return came < (BEHIND_SHARE * perSecond * (ageMs - grace)) / 1_000
  }

  /**
   * The chunk after the last neighbour of `from` that may be fetched in one request. Without leave it is twice as much each time:
   * little where others are just slow, and no chunk after the other where there is no leave to be had.
   */
  endOf(from: number): number {
    const hasLeave = this.has(from)
    const most = hasLeave ? Number.POSITIVE_INFINITY : from + 1 + (this.#leases?.withoutLeave ?? 0)
    let end = from + 1
    while (end < Math.min(most, this.#draft.snapshot.plan.count) && this.#draft.isOpen(end)) {
      if (this.has(end) !== hasLeave) break
      end += 1
    }
    return end
  }

  /** Asks for leave to fetch more, in time for the origin not to become idle. */
  ask(needs: Needs): void {
    if (this.#leases?.mayAsk !== true || this.#source === undefined) return
    const atOrigin = this.#draft.runs.filter((run) => run.kind === 'origin')
    const fetching = atOrigin.filter((run) => !run.isSpare && run.next < run.end)
    if (fetching.some((run) => run.askedEnd > run.next + 1) || atOrigin.length >= this.#source.maxRuns) return
    const gaps = this.#gaps(needs)
    if (gaps.length === 0 && !this.#leases.isOwing) return
    this.#draft.ask({
      gaps,
      fetching: fetching.map(({ next, end }) => ({ from: next, to: end })),
      most: gaps.length === 0 ? 0 : this.#most(this.#source),
    })
  }

  /** First what a reader comes to next. Of what waits for a second word, one chunk: if that is good, so is the word for the others. */
  #gaps({ isGap, isDoubtful }: Needs): ChunkRange[] {
    const { missing, wanted } = this.#draft.snapshot
    const first = wanted.find(({ chunk }) => missing.has(chunk))?.chunk ?? 0
    const gaps: { from: number; to: number }[] = []
    let hasDoubtful = false
    this.#draft.open.findFrom(first, (chunk) => {
      if (!isGap(chunk)) return false
      if (isDoubtful(chunk)) {
        if (hasDoubtful) return false
        hasDoubtful = true
      }
      const last = gaps.at(-1)
      if (last?.to === chunk) last.to += 1
      else if (gaps.length === MAX_GAPS) return true
      else gaps.push({ from: chunk, to: chunk + 1 })
      return false
    })
    return gaps
  }

  #most({ bytesPerSecond = 0 }: SourceView): number {
    const bytes = Math.min(ASK_BYTES.max, Math.max(ASK_BYTES.min, bytesPerSecond * ASK_SECONDS))
    return Math.max(1, Math.floor(bytes / this.#draft.snapshot.plan.chunkBytes))
  }
}
