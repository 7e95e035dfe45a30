/** Milliseconds since the epoch. Passed in, so that policy can be tested without waiting. */
export type Clock = () => number
