import type { ShoalError } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import { lru } from '../util/lru.ts'
import { OriginFailure } from './origin-failure.ts'

interface Outage {
  /** Milliseconds since the epoch. */
  readonly until: number
  readonly error: ShoalError
  probing: boolean
}

const MAX_HOSTS = 1000

/**
 * Remembers for a short time which hosts could not be reached, so that an outage does not cost every request its full
 * retries. Afterwards one request goes through as a probe while the others still fail at once.
 */
export class CircuitBreaker {
  readonly #clock: Clock
  readonly #openMs: number
  readonly #outages = lru<string, Outage>(MAX_HOSTS)

  constructor(components: { clock: Clock }, init: { openMs: number }) {
    this.#clock = components.clock
    this.#openMs = init.openMs
  }

  /**
   * Call before a request; then exactly one of `reached`, `unreachable` and `gaveUp`.
   * @returns whether the request is a probe @throws ShoalError the outage's
   */
  enter(host: string): boolean {
    const outage = this.#outages.get(host)
    if (outage === undefined) return false
    if (this.#clock() < outage.until || outage.probing) {
      const { code, message } = outage.error
      throw new OriginFailure(code, message, { cause: outage.error, again: false, detail: outage.error.detail ?? {} })
    }
    outage.probing = true
    return true
  }

  reached(host: string): void {
    this.#outages.delete(host)
  }

  unreachable(host: string, error: ShoalError): void {
    this.#outages.set(host, { until: this.#clock() + this.#openMs, error, probing: false })
  }

  /** The request ended before it was known whether the host can be reached. */
  gaveUp(host: string): void {
    const outage = this.#outages.get(host)
    if (outage !== undefined) outage.probing = false
  }
}
