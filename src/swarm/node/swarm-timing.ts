/** How long things take in a swarm. Milliseconds throughout; tests use shorter ones. */
export interface SwarmTiming {
  /** Until both sides have proved that they are members. */
  readonly helloMs: number
  readonly dialMs: number
  /** Between rounds of bootstrap while there are too few connections: from, to, each 1.6 times the last. */
  readonly bootstrapMinMs: number
  readonly bootstrapMaxMs: number
  /** Between rounds with enough connections: what brings two halves of a fleet together again. */
  readonly bootstrapIdleMs: number
  /** From the arrival of a member until it is asked for others. */
  readonly askMs: number
  /** Until the second of two connections to one peer is closed. */
  readonly duplicateMs: number
  readonly initialQuerySelfMs: number
  readonly querySelfMs: number
  /** At least, for one question of a lookup. */
  readonly requestMs: number
  /** From the first member until something is announced. */
  readonly settleMs: number
  /** How long a provider record is good. */
  readonly recordMs: number
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

export const SWARM_TIMING: SwarmTiming = {
  helloMs: 5 * SECOND,
  dialMs: 5 * SECOND,
  bootstrapMinMs: SECOND / 2,
  bootstrapMaxMs: MINUTE,
  bootstrapIdleMs: 10 * MINUTE,
  askMs: SECOND,
  duplicateMs: 5 * SECOND,
  initialQuerySelfMs: SECOND / 2,
  querySelfMs: 30 * MINUTE,
  requestMs: 2 * SECOND,
  settleMs: SECOND,
  recordMs: 24 * HOUR,
}
