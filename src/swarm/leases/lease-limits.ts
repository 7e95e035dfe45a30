/** Bounds of the leases of one blob. Times in milliseconds. */
export interface LeaseLimits {
  readonly maxAgents: number
  /** Chunks that one agent may hold. */
  readonly maxPerAgent: number
  /** In one ask. */
  readonly maxRanges: number
  /** Chunks looked at for one ask. */
  readonly maxSteps: number
  /** Chunks out at once as long as nothing is known of the origin, */
  readonly startOut: number
  readonly maxOut: number
  /** The origin's link is kept full by what it brings in so long, and in the way there and back. */
  readonly aheadMs: number
  /** An ask waits so long for something to grant. */
  readonly pendingMs: number
  /** Who asked within this time takes part. */
  readonly memberMs: number
  /** The shortest lease, as long as nothing is known of the origin and after that. */
  readonly firstLeaseMs: number
  readonly leaseMs: number
  /** However often it is renewed. */
  readonly maxLeaseMs: number
  /** News of a chunk reach everybody within so long. */
  readonly freshMs: number
  readonly maxFreshMs: number
  /** What several agents have is to be had: who lacks it is given so many times as long to get it from them. */
  readonly confirmedTimes: number
  /** Who brought a chunk is remembered for so long, */
  readonly keptMs: number
  /** and of so many chunks: an agent may say that it brought a million. */
  readonly maxKept: number
  /** A lease younger than that is never late. */
  readonly lateMs: number
  /**
   * Who is alone may have all: so long after the first ask, or after it had company. It asks for no more than it fetches soon, and so leaves the rest to who comes later.
   */
  readonly aloneFirstMs: number
  readonly aloneMs: number
  /** An agent that brings nothing waits from the one to the other. */
  readonly minPenaltyMs: number
  readonly maxPenaltyMs: number
}

export const LEASE_LIMITS: LeaseLimits = {
  maxAgents: 16_384,
  maxPerAgent: 1_024,
  maxRanges: 64,
  maxSteps: 8_192,
  startOut: 4,
  maxOut: 512,
  aheadMs: 1_000,
  pendingMs: 600,
  memberMs: 10_000,
  firstLeaseMs: 8_000,
  leaseMs: 3_000,
  maxLeaseMs: 30_000,
  freshMs: 3_000,
  maxFreshMs: 30_000,
  confirmedTimes: 4,
  keptMs: 600_000,
  maxKept: 4_096,
  lateMs: 1_000,
  aloneFirstMs: 100,
  aloneMs: 1_000,
  minPenaltyMs: 1_000,
  maxPenaltyMs: 30_000,
}
