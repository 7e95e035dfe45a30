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
   * @param begin called when it is its turn, maybe at once
   * @returns gives the turn back, or the place among those who wait; to be called in any case, more than once does no harm
   */
  take(what: string, begin: () => void): () => void {
    const stretch = this.#stretches.get(what) ?? { given: 0, waiting: new Set() }
    this.#stretches.set(what, stretch)
    let state: 'waiting' | 'given' | 'over' = 'waiting'
    const start = (): void => {
      state = 'given'
      stretch.given += 1
      begin()
    }
    if (stretch.given < this.#most) start()
    else stretch.waiting.add(start)
    return () => {
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
}
