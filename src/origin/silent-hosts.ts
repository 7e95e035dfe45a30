import type { Clock } from '../util/clock.ts'
import { lru } from '../util/lru.ts'

/** Then it is waited for in full again: one that is merely slow must not be given up for ever. */
const REMEMBERED_MS = 30_000
const MAX_HOSTS = 1000

export interface SilentHostsInit {
  /** How long an answer is waited for. */
  readonly fullMs: number
  /** The same, of a host that was silent just now. */
  readonly shortMs: number
}

/**
 * Hosts that take connections and do not answer. One request finds it out; else each step of a pull would wait as long, and
 * docker asks for a tag twice before it goes to the registry by itself.
 */
export class SilentHosts {
  readonly #clock: Clock
  readonly #init: SilentHostsInit
  /** By origin, until when. */
  readonly #until = lru<string, number>(MAX_HOSTS)

  /** @param components.clock must not be set back */
  constructor(components: { readonly clock: Clock }, init: SilentHostsInit) {
    this.#clock = components.clock
    this.#init = init
  }

  /** Milliseconds from a request to its answer. */
  waitMs(host: string): number {
    const { fullMs, shortMs } = this.#init
    return this.#isSilent(host) ? Math.min(shortMs, fullMs) : fullMs
  }

  answered(host: string): void {
    this.#until.delete(host)
  }

  /** An answer did not come within `waitMs` of the request. A short wait says nothing new. */
  timedOut(host: string, waitedMs: number): void {
    if (waitedMs >= this.#init.fullMs) this.#until.set(host, this.#clock() + REMEMBERED_MS)
  }

  #isSilent(host: string): boolean {
    return (this.#until.get(host) ?? Number.NEGATIVE_INFINITY) > this.#clock()
  }
}
