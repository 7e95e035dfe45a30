/** How long members took to answer asks for leases, and when they last said anything: who was slow before, or is there, gets more time. Owned by `LeaseClients`. */
import { lru } from '../../util/lru.ts'

const MAX_PEERS = 256
const NEWEST = 0.5
/** So many times what it took of late. */
const PATIENCE_TIMES = 2

export class AnswerTimes {
  /** Milliseconds. */
  readonly #took = lru<string, number>(MAX_PEERS)
  readonly #heardAt = lru<string, number>(MAX_PEERS)

  took(peer: string, ms: number): void {
    const before = this.#took.get(peer) ?? 0
    // the slowest of late counts, and fades
    this.#took.set(peer, Math.max(ms, before + (ms - before) * NEWEST))
  }

  /** It said something, whatever it is. */
  heard(peer: string, now: number): void {
    this.#heardAt.set(peer, now)
  }

  wasHeardSince(peer: string, time: number): boolean {
    return (this.#heardAt.get(peer) ?? -Infinity) > time
  }

  /** So long its next answer is waited for; 0 for one that never answered. */
  patienceMs(peer: string): number {
    return PATIENCE_TIMES * (this.#took.get(peer) ?? 0)
  }
}
