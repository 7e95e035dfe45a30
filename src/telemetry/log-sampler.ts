import type { Clock } from '../util/clock.ts'

const WINDOW_MS = 60_000
/** Messages are constant: more than this only a mistake could bring about. */
const MAX_KEYS = 1_000

export interface LeftOut<T> {
  readonly what: T
  readonly count: number
}

interface Window<T> {
  readonly endsAt: number
  readonly what: T
  count: number
}

/** Which lines of a log that says the same again and again are written: the first few of each minute. */
export class LogSampler<T> {
  /** So many of a kind a minute; 0: all. */
  perMinute: number
  readonly #clock: Clock
  readonly #windows = new Map<string, Window<T>>()

  constructor(components: { readonly clock: Clock }, init: { readonly perMinute: number }) {
    this.#clock = components.clock
    this.perMinute = init.perMinute
  }

  /**
   * @param key the same for lines that say the same
   * @param what is told of those that are left out
   * @returns whether to write it
   */
  admit(key: string, what: T): boolean {
    if (this.perMinute === 0) return true
    const now = this.#clock()
    const known = this.#windows.get(key)
    const isOver = known === undefined || known.endsAt <= now || known.endsAt > now + WINDOW_MS
    // what an old window has left out is told of by `takeDue`
    if (isOver && (known === undefined || known.count <= this.perMinute)) {
      if (known === undefined && this.#windows.size >= MAX_KEYS) return true
      this.#windows.set(key, { endsAt: now + WINDOW_MS, what, count: 1 })
      return true
    }
    if (known === undefined) return true
    known.count += 1
    return known.count <= this.perMinute
  }

  /** Milliseconds until `takeDue` has something; undefined: nothing was left out. */
  get dueInMs(): number | undefined {
    let earliest: number | undefined
    for (const { endsAt, count } of this.#windows.values())
      if (count > this.perMinute) earliest = Math.min(earliest ?? endsAt, endsAt)
    return earliest === undefined ? undefined : Math.min(WINDOW_MS, Math.max(0, earliest - this.#clock()))
  }

  /** What was left out of minutes that are over, and forgets them. @param options.all also of those that are not */
  takeDue(options: { readonly all: boolean } = { all: false }): LeftOut<T>[] {
    const now = this.#clock()
    const due: LeftOut<T>[] = []
    for (const [key, { endsAt, what, count }] of this.#windows) {
      if (!options.all && endsAt > now && endsAt <= now + WINDOW_MS) continue
      this.#windows.delete(key)
      if (count > this.perMinute) due.push({ what, count: count - this.perMinute })
    }
    return due
  }
}
