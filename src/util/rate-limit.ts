import type { Clock } from './clock.ts'

/** Lets so many units per second through, and a burst at once. */
export class RateLimit {
  readonly #clock: Clock
  readonly #perMs: number
  readonly #burst: number
  #level: number
  #at: number

  constructor(components: { readonly clock: Clock }, init: { readonly perSecond: number; readonly burst: number }) {
    this.#clock = components.clock
    this.#perMs = init.perSecond / 1000
    this.#burst = init.burst
    this.#level = init.burst
    this.#at = this.#clock()
  }

  /** Takes them, into debt if need be. @returns milliseconds until there is no debt; 0: go on */
  take(units: number): number {
    this.#refill()
    this.#level -= units
    return this.#level >= 0 ? 0 : Math.ceil(-this.#level / this.#perMs)
  }

  /** Takes them only if they are there. */
  tryTake(units: number): boolean {
    this.#refill()
    if (this.#level < units) return false
    this.#level -= units
    return true
  }

  #refill(): void {
    const now = this.#clock()
    // the clock may be set back
    const passed = Math.max(0, now - this.#at)
    this.#at = now
    this.#level = Math.min(this.#burst, this.#level + passed * this.#perMs)
  }
}
