/** Calls that may wait a little are made together: a process that is woken for each of many spends more on that than on what they do. */
export class SharedTicks {
  readonly #gridMs: number
  /** By number of the tick. */
  readonly #due = new Map<number, (() => void)[]>()

  constructor(init: { readonly gridMs: number }) {
    this.#gridMs = init.gridMs
  }

  /** Calls it after so many milliseconds, and up to one tick more. Keeps no process alive. */
  after(ms: number, call: () => void): void {
    const now = performance.now()
    const tick = Math.ceil((now + ms) / this.#gridMs)
    const calls = this.#due.get(tick)
    if (calls !== undefined) {
      calls.push(call)
      return
    }
    this.#due.set(tick, [call])
    setTimeout(() => this.#run(tick), tick * this.#gridMs - now).unref()
  }

  #run(tick: number): void {
    const calls = this.#due.get(tick) ?? []
    this.#due.delete(tick)
    for (const call of calls) call()
  }
}
