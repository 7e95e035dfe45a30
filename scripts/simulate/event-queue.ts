/**
 * What happens when, in simulated time. Owns the clock. Things of one moment happen in the order in which they were planned, so a run is the same each time.
 *
 * A heap in which each one has four below it. Times, orders and deeds are in arrays of their own: there are some 100,000 at a time, and to compare two of them nothing else is to be read.
 */
const BELOW = 4

export class EventQueue {
  readonly #times: number[] = []
  readonly #orders: number[] = []
  readonly #deeds: (() => void)[] = []
  #planned = 0
  #happened = 0
  #now = 0

  /** Milliseconds since the start. */
  get now(): number {
    return this.#now
  }

  /** Things that have happened. */
  get count(): number {
    return this.#happened
  }

  after(ms: number, happen: () => void): void {
    this.at(this.#now + ms, happen)
  }

  /** What is in the past happens now. */
  at(time: number, happen: () => void): void {
    const times = this.#times
    const due = Math.max(time, this.#now)
    const order = this.#planned++
    let at = times.length
    while (at > 0) {
      const above = Math.floor((at - 1) / BELOW)
      // what was planned before and is due at the same time stays above
      if ((times[above] ?? 0) <= due) break
      this.#move(above, at)
      at = above
    }
    this.#put(at, due, order, happen)
  }

  /** @returns false when nothing is left, or nothing before `until` */
  step(until = Infinity): boolean {
    const [due] = this.#times
    const [happen] = this.#deeds
    if (due === undefined || happen === undefined || due > until) return false
    this.#dropFirst()
    this.#now = due
    this.#happened += 1
    happen()
    return true
  }

  #dropFirst(): void {
    const [due, order, happen] = [this.#times.pop(), this.#orders.pop(), this.#deeds.pop()]
    const count = this.#times.length
    if (count === 0 || due === undefined || order === undefined || happen === undefined) return
    let at = 0
    for (let first = 1; first < count; first = BELOW * at + 1) {
      const least = this.#leastFrom(first, Math.min(count, first + BELOW))
      const time = this.#times[least] ?? 0
      if (time > due || (time === due && (this.#orders[least] ?? 0) > order)) break
      this.#move(least, at)
      at = least
    }
    this.#put(at, due, order, happen)
  }

  #leastFrom(from: number, to: number): number {
    const times = this.#times
    let least = from
    for (let at = from + 1; at < to; at++) {
      const [time, leastTime] = [times[at] ?? 0, times[least] ?? 0]
      if (time < leastTime || (time === leastTime && (this.#orders[at] ?? 0) < (this.#orders[least] ?? 0))) least = at
    }
    return least
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from] ?? 0, this.#orders[from] ?? 0, this.#deeds[from] as () => void)
  }

  #put(at: number, due: number, order: number, happen: () => void): void {
    this.#times[at] = due
    this.#orders[at] = order
    this.#deeds[at] = happen
  }
}
