/**
 * Who is given a stretch of a blob just now: few at a time, for as soon as those have it they can give it on, while each of many that get it together
 * would have it last. Owns the requests that wait. Pure bookkeeping, called by `LaneRoutes`; it runs in the simulator too.
 */
export class LaneTurns {
  readonly #most: number
  readonly #stretches = new Map<string, Stretch>()

  /** @param init.most that may be given the same at once */
  constructor(init: { readonly most: number }) {
    this.#most = init.most
  }

  /**
   * @param what names the stretch
   * @param peer who asks for it: it has one turn, or place, at a time
   * @param begin called when it is its turn, maybe at once
   * @returns gives the turn back, or the place among those who wait; to be called in any case, more than once does no harm. Undefined: it has one already
   */
  take(what: string, peer: string, begin: () => void): (() => void) | undefined {
    const stretch = this.#stretches.get(what) ?? { given: 0, waiting: new Set(), peers: new Set() }
    if (stretch.peers.has(peer)) return undefined
    this.#stretches.set(what, stretch)
    stretch.peers.add(peer)
    let state: 'waiting' | 'given' | 'over' = 'waiting'
    const start = (): void => {
      state = 'given'
      stretch.given += 1
      begin()
    }
    if (stretch.given < this.#most) start()
    else stretch.waiting.add(start)
    return () => {
      if (state === 'over') return
      stretch.peers.delete(peer)
      if (state === 'waiting') stretch.waiting.delete(start)
      if (state === 'given') stretch.given -= 1
      state = 'over'
      this.#goOn(what, stretch)
    }
  }

  /** Stretches that are being given. */
  get size(): number {
    return this.#stretches.size
  }

  #goOn(what: string, { given, waiting }: Stretch): void {
    const [next] = waiting
    if (next !== undefined && given < this.#most) {
      waiting.delete(next)
      next()
    } else if (given === 0) this.#stretches.delete(what)
  }
}

interface Stretch {
  given: number
  /** The first one first. */
  readonly waiting: Set<() => void>
  /** Those who are given it, and those who wait. */
  readonly peers: Set<string>
}
