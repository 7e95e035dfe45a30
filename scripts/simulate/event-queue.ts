/** What happens when, in simulated time. Owns the clock. Things of one moment happen in the order in which they were planned, so a run is the same each time. */
interface Planned {
  readonly at: number
  readonly order: number
  readonly happen: () => void
}

export class EventQueue {
  readonly #heap: Planned[] = []
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
    const heap = this.#heap
    const planned = { at: Math.max(time, this.#now), order: this.#planned++, happen }
    let at = heap.push(planned) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above] as Planned
      if (isBefore(parent, planned)) break
      heap[at] = parent
      at = above
    }
    heap[at] = planned
  }

  /** @returns false when nothing is left, or nothing before `until` */
  step(until = Infinity): boolean {
    const first = this.#heap[0]
    if (first === undefined || first.at > until) return false
    const last = this.#heap.pop() as Planned
    if (last !== first) this.#sink(last)
    this.#now = first.at
    this.#happened += 1
    first.happen()
    return true
  }

  #sink(planned: Planned): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      const right = heap[below + 1]
      if (right !== undefined && isBefore(right, heap[below] as Planned)) below += 1
      const child = heap[below] as Planned
      if (isBefore(planned, child)) break
      heap[at] = child
      at = below
    }
    heap[at] = planned
  }
}

function isBefore(one: Planned, other: Planned): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}
