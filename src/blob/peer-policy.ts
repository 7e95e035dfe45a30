import type { SourceView } from './chunk-scheduler.ts'
import type { PlannedRun, RunDraft } from './run-draft.ts'

/** What one request to a peer is to take, by what the peer brought so far. */
const RUN_SECONDS = 0.35
const MAX_RUN_BYTES = 16 * 1024 * 1024
/** Chunks behind a waiting reader's that come before all others. */
const WINDOW_BYTES = 16 * 1024 * 1024
/** Chunks that are asked of peers at once: what they all bring in so long, or so many. */
const AHEAD_SECONDS = 2.5
const MIN_ASKED = 8
/** So long a reader waits for a peer to be free before the origin is asked. */
const PATIENCE_MS = 200
/** Of a peer that has brought nothing yet, until its first run is of this age. */
const GUESSED_RATE = 10 * 1024 * 1024
const GUESSED_MS = 500
/** What is silent for so long has no rate. */
const SILENT_MS = 400

/** What peers are asked for. Part of `chunk-scheduler`. */
export class PeerPolicy {
  readonly #draft: RunDraft
  readonly #peers: readonly SourceView[]
  readonly #hasOrigin: boolean

  constructor(draft: RunDraft) {
    this.#draft = draft
    const { sources } = draft.snapshot
    this.#peers = sources.filter(({ kind }) => kind === 'peer')
    this.#hasOrigin = this.#peers.length < sources.length
  }

  get areThere(): boolean {
    return this.#peers.length > 0
  }

  /** Of all that may be asked, together. */
  get bytesPerSecond(): number {
    return this.#peers.reduce((sum, { bytesPerSecond }) => sum + (bytesPerSecond ?? 0), 0)
  }

  get count(): number {
    return this.#peers.length
  }

  /** Bytes per second of all that may be asked, with the requests that run. */
  get expectedRate(): number {
    return this.#peers.reduce((sum, peer) => sum + this.#expectedRateOf(peer), 0)
  }

  canBring(chunk: number): boolean {
    return this.#mayAsk(chunk) && this.#has(chunk)
  }

  have(chunk: number): boolean {
    return this.#has(chunk)
  }

  /** There are peers, and none of them has the chunk yet. */
  lack(chunk: number): boolean {
    return this.areThere && !this.#has(chunk)
  }

  /** Peers have it, but so much is on its way on their word alone that more has to wait until it is confirmed. */
  isUnconfirmed(chunk: number): boolean {
    return this.#draft.snapshot.mayFetch(chunk) === 'risky' && !this.#mayAsk(chunk) && this.#has(chunk)
  }

  /** @returns whether peers see to it that the reader gets the chunk */
  serve(chunk: number): boolean {
    const { snapshot } = this.#draft
    const run = this.#draft.runOf(chunk)
    if (run !== undefined) return run.kind === 'peer'
    if (!this.areThere || !this.#draft.isOpen(chunk) || !this.canBring(chunk)) return false
    if (this.#hasOrigin && !snapshot.isUndisputed(chunk)) return false
    const able = this.#peers.filter((peer) => peer.has(chunk) && !(peer.isSlow && this.#hasOrigin))
    const free = this.#best(able, chunk)
    if (free !== undefined) {
      this.#start(free, chunk, Number.POSITIVE_INFINITY)
      return true
    }
    const waitedMs = snapshot.wanted.find((reader) => reader.chunk === chunk)?.waitedMs ?? 0
    return able.length > 0 && waitedMs < PATIENCE_MS
  }

  /** Gives every peer as much to do as it may have, and all together no more than this agent's link takes soon. */
  fill(): void {
    const chunks = this.#inOrder()
    const { plan } = this.#draft.snapshot
    const runChunks = Math.max(1, Math.floor(MAX_RUN_BYTES / plan.chunkBytes))
    let slots = this.#peers.reduce((sum, peer) => sum + peer.maxRuns, 0)
    let free = this.#peers.filter((peer) => this.#isFree(peer))
    let open: number[] = []
    while (free.length > 0 && this.#hasRoom) {
      // No more than can be given away now: a blob may have thousands.
      while (open.length < Math.max(1, slots) * runChunks) {
        const { value: chunk, done } = chunks.next()
        if (done === true) break
        if (this.#draft.isOpen(chunk) && this.#mayAsk(chunk) && free.some((peer) => peer.has(chunk))) open.push(chunk)
      }
      if (open.length === 0) return
      const start = this.#firstStart(open, free)
      if (start !== undefined) {
        this.#start(start.peer, start.chunk, Math.ceil(open.length / Math.max(1, slots)))
        slots -= 1
      }
      open = start === undefined ? [] : open.filter((chunk) => this.#draft.isOpen(chunk))
      free = free.filter((peer) => this.#isFree(peer))
    }
  }

  /** Asks another peer for a chunk that one is late with. @returns whether there was one */
  hurry(chunk: number, late: PlannedRun): boolean {
    if (!this.#mayAsk(chunk)) return false
    // Readers may have seen what the origin has sent of it: that is not held against one agent's word.
    if (late.kind === 'origin' && !this.#draft.snapshot.isReleased(chunk)) return false
    const others = this.#peers.filter((peer) => peer.id !== late.source && peer.has(chunk) && !peer.isSlow)
    const free = this.#best(others, chunk)
    if (free === undefined) return false
    this.#draft.start(free, chunk, chunk + 1, { isSpare: true })
    return true
  }

  /** Asked of everybody at once, chunks share the links and all of them come late: none can be passed on meanwhile. */
  get #hasRoom(): boolean {
    const { plan, peersBytesPerSecond } = this.#draft.snapshot
    let asked = 0
    for (const { kind, view, next, end } of this.#draft.runs) {
      if (kind === 'peer' && (view?.silentMs ?? 0) < SILENT_MS) asked += end - next
    }
    return asked < Math.max(MIN_ASKED, (peersBytesPerSecond * AHEAD_SECONDS) / plan.chunkBytes)
  }

  #expectedRateOf(peer: SourceView): number {
    const runs = this.#draft.runs.filter(({ source }) => source === peer.id)
    if (runs.some(({ view }) => view !== undefined && view.silentMs >= SILENT_MS)) return 0
    if (peer.bytesPerSecond !== undefined) return peer.bytesPerSecond * Math.max(1, runs.length)
    const rated = runs.filter(({ view }) => view !== undefined && view.ageMs >= GUESSED_MS)
    if (rated.length === 0) return GUESSED_RATE
    return rated.reduce((sum, { view }) => sum + (view?.bytesPerSecond ?? 0), 0)
  }

  #has(chunk: number): boolean {
    return this.#peers.some((peer) => peer.has(chunk))
  }

  #firstStart(open: readonly number[], free: readonly SourceView[]): { peer: SourceView; chunk: number } | undefined {
    for (const chunk of open) {
      if (!this.#mayAsk(chunk)) continue
      const peer = this.#best(free, chunk)
      if (peer !== undefined) return { peer, chunk }
    }
    return undefined
  }

  /** All chunks: first what readers come to next, then from this agent's own place on. */
  *#inOrder(): Generator<number, void, void> {
    const { plan, wanted, offset } = this.#draft.snapshot
    const window = Math.max(2, Math.floor(WINDOW_BYTES / plan.chunkBytes))
    const near = new Set<number>()
    for (const { chunk } of wanted) {
      for (let next = chunk; next < Math.min(plan.count, chunk + window); next++) near.add(next)
    }
    // What the readers may not have from peers is the origin's affair, as long as there is something else to do.
    const theirs: number[] = []
    for (const chunk of near) {
      if (!this.#hasOrigin || this.#draft.snapshot.isUndisputed(chunk)) yield chunk
      else theirs.push(chunk)
    }
    const first = Math.floor(offset * plan.count)
    for (let step = 0; step < plan.count; step++) {
      const chunk = (first + step) % plan.count
      if (!near.has(chunk)) yield chunk
    }
    yield* theirs
  }

  #start(peer: SourceView, from: number, share: number): void {
    const { plan } = this.#draft.snapshot
    const bytes = Math.min(MAX_RUN_BYTES, (peer.bytesPerSecond ?? 0) * RUN_SECONDS)
    const fits = Math.min(share, Math.floor(bytes / plan.chunkBytes), this.#draft.chunksLeft(peer))
    const most = Math.max(1, fits)
    let risks = this.#riskOf(from)
    let to = from + 1
    while (to < plan.count && to < from + most && this.#draft.isOpen(to) && peer.has(to) && this.#mayAsk(to)) {
      risks += this.#riskOf(to)
      if (risks > 0 && risks > this.#draft.riskLeft) break
      to += 1
    }
    this.#draft.start(peer, from, to)
  }

  #mayAsk(chunk: number): boolean {
    const may = this.#draft.snapshot.mayFetch(chunk)
    return may === 'free' || (may === 'risky' && this.#draft.riskLeft > 0)
  }

  #riskOf(chunk: number): number {
    return this.#draft.snapshot.mayFetch(chunk) === 'risky' ? 1 : 0
  }

  #isFree(peer: SourceView): boolean {
    return this.#draft.running(peer.id) < peer.maxRuns && this.#draft.chunksLeft(peer) > 0
  }

  /** The one that is idle and fast, of those that have the chunk. */
  #best(peers: readonly SourceView[], chunk: number): SourceView | undefined {
    let best: { peer: SourceView; cost: number } | undefined
    for (const peer of peers) {
      if (!peer.has(chunk) || !this.#isFree(peer)) continue
      const cost = ((this.#draft.running(peer.id) + 1) * (peer.isSlow ? 10 : 1)) / (peer.bytesPerSecond ?? GUESSED_RATE)
      if (best === undefined || cost < best.cost) best = { peer, cost }
    }
    return best?.peer
  }
}
