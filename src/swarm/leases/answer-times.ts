/** How long members took to answer asks for leases: who was slow before gets more time. Owned by `LeaseClients`. */
import { lru } from '../../util/lru.ts'

const MAX_PEERS = 256
const NEWEST = 0.5
/** So many times what it took of late. */
const PATIENCE_TIMES = 2

export class AnswerTimes {
  /** Milliseconds. */
  readonly #took = lru<string, number>(MAX_PEERS)

  took(peer: string, ms: number): void {
    const before = this.#took.get(peer) ?? 0
    // the slowest of late counts, and fades
    this.#took.set(peer, Math.max(ms, before + (ms - before) * NEWEST))
  }

  /** So long its next answer is waited for; 0 for one that never answered. */
  patienceMs(peer: string): number {
    return PATIENCE_TIMES * (this.#took.get(peer) ?? 0)
  }
}
