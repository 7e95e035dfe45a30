/** Milliseconds since the epoch. Passed in, so that policy can be tested without waiting. */
export type Clock = () => number

/** Never set back nor forward: for durations. Near the time of day as it was when this process started. */
export const steadyClock: Clock = () => performance.timeOrigin + performance.now()
