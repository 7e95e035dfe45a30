/**
 * How long a connection is not read after each of a body's pieces. What comes slowly comes packet by packet, and each costs a turn of the event loop however small it
 * is; left alone for a while, as much as is worth it has come. Pure.
 */

/** Two records of TLS: nothing is handed on before a record is whole. */
const WORTH_READING_BYTES = 32 * 1024
/** A body of this age shows how fast it comes. */
const RATED_MS = 25
/** Shorter, a rest costs more than it saves. */
const MIN_REST_MS = 5
/** Longer, the peer would seem to be silent. */
const MAX_REST_MS = 200

/**
 * @param body bytes of it that have come and that are to come, milliseconds since the first
 * @returns milliseconds, 0 for not at all. The end of the body is not waited for longer than it takes
 */
export function laneRestMs(body: { readonly received: number; readonly left: number; readonly ageMs: number }): number {
  const { received, left, ageMs } = body
  if (ageMs < RATED_MS || received === 0 || left === 0) return 0
  const restMs = Math.min(MAX_REST_MS, (Math.min(WORTH_READING_BYTES, left) * ageMs) / received)
  return restMs < MIN_REST_MS ? 0 : restMs
}
