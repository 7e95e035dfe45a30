import type { Clock } from '../util/clock.ts'

/** By so much clocks of peers may differ. */
const SKEW_MS = 5 * 60 * 1000

/** Whether a peer states a time that cannot be. @param at milliseconds since the epoch */
export function isFromFuture(at: number, clock: Clock): boolean {
  return !(at <= clock() + SKEW_MS)
}
