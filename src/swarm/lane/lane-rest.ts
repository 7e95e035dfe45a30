/**
 * How long a connection is left alone while a body comes slowly. Then it comes packet by packet, and each costs a turn of the event loop however small it is; after
 * a while, as much as is worth it has come. Pure: the clock is passed in.
 */

/** Two records of TLS: nothing is handed on before a record is whole. */
const WORTH_READING_BYTES = 32 * 1024
/** So long it takes to see how fast a body comes. */
const RATED_MS = 25
/** Shorter, a rest costs more than it saves. */
const MIN_REST_MS = 5
/** Longer, the peer would seem to be silent. */
const MAX_REST_MS = 200

export class LaneRest {
  #since: number
  #bytes = 0

  /** @param now when the body began, or is read on after this side had held it up */
  constructor(now: number) {
    this.#since = now
  }

  came(bytes: number): void {
    this.#bytes += bytes
  }

  /**
   * To be called when all that has come is read, so that what came meanwhile counts for the time that it took.
   * @param left bytes that are still to come: they are not waited for longer than they take
   * @returns milliseconds, 0 for not at all
   */
  next(left: number, now: number): number {
    const ms = now - this.#since
    if (ms < RATED_MS || this.#bytes === 0 || left === 0) return 0
    const restMs = Math.min(MAX_REST_MS, (Math.min(WORTH_READING_BYTES, left) * ms) / this.#bytes)
    this.#since = now
    this.#bytes = 0
    return restMs < MIN_REST_MS ? 0 : restMs
  }
}
