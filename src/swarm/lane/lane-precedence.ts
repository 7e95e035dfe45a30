import type { Clock } from '../../util/clock.ts'

/** While so many requests of peers that have asked for longer are given something, of which only so many of one peer count, */
const MOST_OF_ELDERS = 3
const MOST_OF_ELDER = 2
/** so many of the others are, one for each peer. */
const MOST_OF_OTHERS = 4
/** Who began so much later has asked for less long, in milliseconds and as a share of its own time. */
const LATER = { ms: 2_000, share: 0.1 } as const
/** Who asks without end is no older than this. */
const MOST_AGE_MS = 120_000
/** More do not wait. */
const MAX_WAITING = 16
/** Who has not asked for so long begins anew. */
const PAUSE_MS = 10_000
const MAX_REMEMBERED = 1_024

/**
 * Who is given something while many ask: those first who have been asking for longest. The hosts of a rollout start one after another. Those that start late
 * need everything, and so can use all that anybody can give: they would take the links from those before them, who lack little and can have it from few. Peers that began
 * together have equal rights. Pure bookkeeping, called by `LaneRoutes`; it runs in the simulator too.
 */
export class LanePrecedence {
  readonly #clock: Clock
  readonly #peers = new Map<string, { since: number; askedAt: number }>()
  readonly #given = new Set<Request>()
  /** In the order in which their peers began to ask. */
  #waiting: Request[] = []

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /**
   * @param begin called when it may be given something, maybe at once
   * @returns gives the place back, or the one among those who wait; to be called in any case, more than once does no harm. Undefined: too many wait
   */
  take(peer: string, begin: () => void): (() => void) | undefined {
    const request: Request = { peer, since: this.#asked(peer), begin }
    if (this.#mayBegin(request)) this.#start(request)
    else if (this.#waiting.length >= MAX_WAITING) return undefined
    else {
      const before = this.#waiting.findLastIndex(({ since }) => since <= request.since)
      this.#waiting.splice(before + 1, 0, request)
    }
    return () => {
      if (this.#given.delete(request)) this.#goOn()
      else this.#waiting = this.#waiting.filter((other) => other !== request)
    }
  }

  /** @returns since when it has been asking */
  #asked(peer: string): number {
    const now = this.#clock()
    const known = this.#peers.get(peer)
    const since = known === undefined || now - known.askedAt > PAUSE_MS ? now : known.since
    // the one that has not asked for longest comes first, and is forgotten first
    this.#peers.delete(peer)
    this.#peers.set(peer, { since, askedAt: now })
    const [oldest] = this.#peers.keys()
    if (this.#peers.size > MAX_REMEMBERED && oldest !== undefined) this.#peers.delete(oldest)
    return since
  }

  #mayBegin({ peer, since }: Request): boolean {
    if (this.#given.size < MOST_OF_ELDERS) return true
    const now = this.#clock()
    const age = Math.min(MOST_AGE_MS, now - since)
    const elderAge = age + Math.max(LATER.ms, LATER.share * age)
    let ofElder: Map<string, number> | undefined
    let others = 0
    let hasOne = false
    for (const other of this.#given) {
      if (other.peer === peer) hasOne = true
      if (Math.min(MOST_AGE_MS, now - other.since) > elderAge) {
        ofElder ??= new Map()
        ofElder.set(other.peer, Math.min(MOST_OF_ELDER, (ofElder.get(other.peer) ?? 0) + 1))
      } else others += 1
    }
    const elders = ofElder?.values().reduce((sum, count) => sum + count, 0) ?? 0
    return elders < MOST_OF_ELDERS || (!hasOne && others < MOST_OF_OTHERS)
  }

  #start(request: Request): void {
    this.#given.add(request)
    request.begin()
  }

  #goOn(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const request of waiting) {
      if (this.#mayBegin(request)) this.#start(request)
      else this.#waiting.push(request)
    }
  }
}

interface Request {
  readonly peer: string
  /** When its peer began to ask. */
  readonly since: number
  readonly begin: () => void
}
