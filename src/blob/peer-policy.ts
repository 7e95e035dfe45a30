import type { SourceView } from './chunk-scheduler.ts'
import { ChunkSet } from './chunk-set.ts'
import { FillOrder } from './fill-order.ts'
import { isSilent } from './late-policy.ts'
import type { PlannedRun, RunDraft } from './run-draft.ts'

/** What one request to a peer is to take, by what the peer brought so far. */
const RUN_SECONDS = 0.35
const MAX_RUN_BYTES = 16 * 1024 * 1024
/** Chunks that are asked of peers at once: what they all bring in so long, or so many. */
const AHEAD_SECONDS = 2.5
const MIN_ASKED = 8
/** So long a reader waits for a peer to be free before the origin is asked. */
const PATIENCE_MS = 200
/** Of a peer that has brought nothing yet, until its first run is of this age. */
const GUESSED_RATE = 10 * 1024 * 1024
const GUESSED_MS = 500

/** What peers are asked for. Part of `chunk-scheduler`. */
export class PeerPolicy {
  readonly #draft: RunDraft
  readonly #peers: readonly SourceView[]
  readonly #hasOrigin: boolean
  /** Chunks of which it was worked out whether they may be asked for: that does not change while it is decided. */
  readonly #known: ChunkSet
  readonly #free: ChunkSet
  readonly #risky: ChunkSet
  #bytesPerSecond: number | undefined

  constructor(draft: RunDraft) {
    this.#draft = draft
    const { sources, plan } = draft.snapshot
    this.#known = new ChunkSet(plan.count)
    this.#free = new ChunkSet(plan.count)
    this.#risky = new ChunkSet(plan.count)
    this.#peers = sources.filter(({ kind }) => kind === 'peer')
    this.#hasOrigin = this.#peers.length < sources.length
  }

  get areThere(): boolean {
    return this.#peers.length > 0
  }

  /** Of all that may be asked, together. */
  get bytesPerSecond(): number {
    this.#bytesPerSecond ??= this.#peers.reduce((sum, { bytesPerSecond }) => sum + (bytesPerSecond ?? 0), 0)
    return this.#bytesPerSecond
  }

  get count(): number {
    return this.#peers.length
  }

  /** Bytes per second of all that may be asked, with the requests that run; of as many as are needed to reach `enough`. */
  expectedRate(enough: number): number {
    let sum = 0
    for (const peer of this.#peers) {
      if (sum >= enough) break
      sum += this.#expectedRateOf(peer)
    }
    return sum
  }

  canBring(chunk: number): boolean {
    return this.have(chunk) && this.#mayAsk(chunk)
  }

  have(chunk: number): boolean {
    return this.#draft.snapshot.atPeers.has(chunk)
  }

  /** Whether there are peers, and chunks in the set that none of them has yet. */
  lackSome(chunks: ChunkSet): boolean {
    return this.areThere && !chunks.isWithin(this.#draft.snapshot.atPeers)
  }

  /** Those that no peer has. */
  without(chunks: ChunkSet): ChunkSet {
    const rest = chunks.copy()
    rest.deleteAll(this.#draft.snapshot.atPeers)
    return rest
  }

  /** There are peers, and none of them has the chunk yet. */
  lack(chunk: number): boolean {
    return this.areThere && !this.have(chunk)
  }

  /** Peers have it, but so much is on its way on their word alone that more has to wait until it is confirmed. */
  isUnconfirmed(chunk: number): boolean {
    return this.have(chunk) && this.#isRisky(chunk) && this.#draft.riskLeft <= 0
  }

  /** @returns whether peers see to it that the reader gets the chunk */
  serve(chunk: number): boolean {
    const { snapshot } = this.#draft
    const run = this.#draft.runOf(chunk)
    if (run !== undefined) return run.kind === 'peer'
    if (!this.areThere || !this.#draft.isOpen(chunk) || !this.canBring(chunk)) return false
    if (this.#hasOrigin && !snapshot.isUndisputed(chunk)) return false
    const able = this.#peers.filter((peer) => peer.has(chunk) && !(peer.isSlow && this.#hasOrigin))
    const free = this.#bestOf(this.#freeOf(able), chunk)
    if (free !== undefined) {
      this.#start(free, chunk, Number.POSITIVE_INFINITY)
      return true
    }
    const waitedMs = snapshot.wanted.find((reader) => reader.chunk === chunk)?.waitedMs ?? 0
    return able.length > 0 && waitedMs < PATIENCE_MS
  }

  /** Gives every peer as much to do as it may have, and all together no more than this agent's link takes soon. */
  fill(): void {
    if (!this.areThere || this.#draft.open.isEmpty || !this.#hasRoom) return
    let free = this.#freeOf(this.#peers)
    if (free.length === 0) return
    const chunks = new FillOrder(this.#draft, { leavesDisputed: this.#hasOrigin })
    const runChunks = Math.max(1, Math.floor(MAX_RUN_BYTES / this.#draft.snapshot.plan.chunkBytes))
    let slots = this.#peers.reduce((sum, peer) => sum + peer.maxRuns, 0)
    let open: number[] = []
    while (free.length > 0 && this.#hasRoom) {
      // No more than can be given away now: a blob may have thousands.
      while (open.length < Math.max(1, slots) * runChunks) {
        const chunk = chunks.next()
        if (chunk < 0) break
        if (this.canBring(chunk) && free.some((peer) => peer.gives(chunk))) open.push(chunk)
      }
      if (open.length === 0) return
      const start = this.#firstStart(open, free)
      if (start === undefined) {
        open = []
        continue
      }
      this.#start(start.peer, start.chunk, Math.ceil(open.length / Math.max(1, slots)))
      slots -= 1
      open = open.filter((chunk) => this.#draft.isOpen(chunk))
      if (!this.#isFree(start.peer)) free = free.filter((peer) => peer !== start.peer)
    }
  }

  /** Asks another peer for a chunk that one is late with. @returns whether there was one that may be expected to bring it within so many milliseconds */
  hurry(chunk: number, late: PlannedRun, withinMs: number): boolean {
    if (!this.#mayAsk(chunk)) return false
    // Readers may have seen what the origin has sent of it: that is not held against one agent's word.
    if (late.kind === 'origin' && !this.#draft.snapshot.isReleased(chunk)) return false
    const others = this.#peers.filter((peer) => {
      return peer.id !== late.source && peer.gives(chunk) && !peer.isSlow && !this.#isUnanswered(peer)
    })
    const free = this.#bestOf(this.#freeOf(others), chunk)
    if (free === undefined || this.#expectedMs(free) > withinMs) return false
    this.#draft.start(free, chunk, chunk + 1, { isSpare: true })
    return true
  }

  /** Asked of everybody at once, chunks share the links and all of them come late: none can be passed on meanwhile. */
  get #hasRoom(): boolean {
    const { plan, peersBytesPerSecond } = this.#draft.snapshot
    let asked = 0
    for (const { kind, view, next, end } of this.#draft.runs) {
      if (kind === 'peer' && (view === undefined || !isSilent(view, this.#draft.snapshot))) asked += end - next
    }
    return asked < Math.max(MIN_ASKED, (peersBytesPerSecond * AHEAD_SECONDS) / plan.chunkBytes)
  }

  #expectedRateOf(peer: SourceView): number {
    const runs = this.#draft.runsOf(peer.id)
    if (runs.length === 0) return peer.bytesPerSecond ?? GUESSED_RATE
    if (runs.some(({ view }) => view !== undefined && isSilent(view, this.#draft.snapshot))) return 0
    if (peer.bytesPerSecond !== undefined) return peer.bytesPerSecond * runs.length
    const rated = runs.filter(({ view }) => view !== undefined && view.ageMs >= GUESSED_MS)
    if (rated.length === 0) return GUESSED_RATE
    return rated.reduce((sum, { view }) => sum + (view?.bytesPerSecond ?? 0), 0)
  }

  /** For a chunk, of a peer that brings as much as ever; one that has brought nothing yet is taken to be like the others. */
  #expectedMs({ bytesPerSecond }: SourceView): number {
    const known = this.#peers.flatMap((peer) => peer.bytesPerSecond ?? [])
    const usual = known.length === 0 ? GUESSED_RATE : known.reduce((sum, rate) => sum + rate, 0) / known.length
    return (this.#draft.snapshot.plan.chunkBytes * 1_000) / Math.max(1, bytesPerSecond ?? usual)
  }

  #firstStart(open: readonly number[], free: readonly SourceView[]): { peer: SourceView; chunk: number } | undefined {
    for (const chunk of open) {
      if (!this.#mayAsk(chunk)) continue
      const peer = this.#bestOf(free, chunk)
      if (peer !== undefined) return { peer, chunk }
    }
    return undefined
  }

  #start(peer: SourceView, from: number, share: number): void {
    const { plan } = this.#draft.snapshot
    const bytes = Math.min(MAX_RUN_BYTES, (peer.bytesPerSecond ?? 0) * RUN_SECONDS)
    const fits = Math.min(share, Math.floor(bytes / plan.chunkBytes), this.#draft.chunksLeft(peer))
    const most = Math.max(1, fits)
    let risks = this.#isRisky(from) ? 1 : 0
    let to = from + 1
    while (to < plan.count && to < from + most && this.#draft.isOpen(to) && peer.gives(to) && this.#mayAsk(to)) {
      if (this.#isRisky(to)) risks += 1
      if (risks > 0 && risks > this.#draft.riskLeft) break
      to += 1
    }
    this.#draft.start(peer, from, to)
  }

  #mayAsk(chunk: number): boolean {
    this.#learn(chunk)
    return this.#free.has(chunk) || (this.#risky.has(chunk) && this.#draft.riskLeft > 0)
  }

  #isRisky(chunk: number): boolean {
    this.#learn(chunk)
    return this.#risky.has(chunk)
  }

  #learn(chunk: number): void {
    if (this.#known.has(chunk)) return
    this.#known.add(chunk)
    const may = this.#draft.snapshot.mayFetch(chunk)
    if (may === 'free') this.#free.add(chunk)
    else if (may === 'risky') this.#risky.add(chunk)
  }

  /** It was asked, and nothing has come from it yet. */
  #isUnanswered(peer: SourceView): boolean {
    const hasBrought = peer.bytesPerSecond !== undefined || peer.bytesReceived > 0
    return (
      !hasBrought && this.#draft.runsOf(peer.id).some(({ view }) => view !== undefined && view.bytesPerSecond === 0)
    )
  }

  #isFree(peer: SourceView): boolean {
    return this.#draft.running(peer.id) < peer.maxRuns && this.#draft.chunksLeft(peer) > 0
  }

  #freeOf(peers: readonly SourceView[]): readonly SourceView[] {
    return peers.filter((peer) => this.#isFree(peer))
  }

  /** The one that is idle and fast, of those that have the chunk. */
  #bestOf(peers: readonly SourceView[], chunk: number): SourceView | undefined {
    let best: { peer: SourceView; cost: number } | undefined
    for (const peer of peers) {
      if (!peer.gives(chunk)) continue
      const cost = ((this.#draft.running(peer.id) + 1) * (peer.isSlow ? 10 : 1)) / (peer.bytesPerSecond ?? GUESSED_RATE)
      if (best === undefined || cost < best.cost) best = { peer, cost }
    }
    return best?.peer
  }
}
