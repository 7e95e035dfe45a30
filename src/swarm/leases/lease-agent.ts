/** An agent that takes part in the leases of one blob, and whether it brings what it takes. Pure: time is passed in, milliseconds. Owned by `LeaseRoll`. */
import type { ChunkRange } from '../../blob/ports.ts'
import type { LeaseLimits } from './lease-limits.ts'

export class LeaseAgent {
  readonly id: string
  /** Of its first ask, since it takes part. */
  joinedAt = 0
  /** Of its last ask. */
  seenAt = 0
  gaps: readonly ChunkRange[] = []
  most = 0
  /** Of its last answer, and when that was. */
  serial = 0
  answeredAt = -Infinity
  /** When what waits was asked. */
  askedAt = 0
  /** When it last gave back what the origin refused. */
  refusedAt = -Infinity
  #failures = 0
  /** Others lack what it says it brought. */
  #doubts = 0
  #struckAt = -Infinity
  /** Chunks that it brought since it last failed to. */
  #brought = 0

  constructor(id: string) {
    this.id = id
  }

  get isDoubted(): boolean {
    return this.#doubts > 0
  }

  /** Chunks that it may hold: one more for each that it brought, so that who brings nothing takes little. */
  get allowance(): number {
    return this.isOnProbation ? 1 : 1 + this.#brought
  }

  /** It did not bring what it took. */
  get isOnProbation(): boolean {
    return this.#failures + this.#doubts > 0
  }

  /** Nothing is granted to it before. */
  waitsUntil({ minPenaltyMs, maxPenaltyMs }: LeaseLimits): number {
    const strikes = this.#failures + this.#doubts
    return strikes === 0 ? -Infinity : this.#struckAt + Math.min(maxPenaltyMs, minPenaltyMs * 2 ** (strikes - 1))
  }

  /** Leases ran out, or came back unused; what happens together counts once. */
  failed(now: number, { minPenaltyMs }: LeaseLimits): void {
    if (now - this.#struckAt < minPenaltyMs) return
    this.#failures = Math.min(16, this.#failures + 1)
    this.#brought = 0
    this.#struckAt = now
  }

  brought(chunks: number): void {
    this.#failures = 0
    this.#brought += chunks
  }

  doubted(now: number, { minPenaltyMs }: LeaseLimits): void {
    if (this.#doubts > 0 && now - this.#struckAt < minPenaltyMs) return
    this.#doubts = Math.min(16, this.#doubts + 1)
    this.#brought = 0
    this.#struckAt = now
  }

  /** Another agent got what this one brought. */
  confirmed(): void {
    this.#doubts = 0
  }
}
