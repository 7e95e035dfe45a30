/** How much peers ask for at the same time. Pure bookkeeping. */
export class LaneLoad {
  readonly #running = new Map<string, number>()
  readonly #init: LaneLoadInit
  #total = 0

  constructor(init: LaneLoadInit) {
    this.#init = init
  }

  /**
   * Counts one more request of the peer, if there is room for it.
   * @returns what stands in the way, else a function that ends it
   */
  enter(peer: string): 'peer-full' | 'full' | (() => void) {
    const before = this.#running.get(peer) ?? 0
    if (before >= this.#init.requestsPerPeer) return 'peer-full'
    if (this.#total >= this.#init.requests) return 'full'
    this.#running.set(peer, before + 1)
    this.#total += 1
    let left = false
    return () => {
      if (left) return
      left = true
      this.#total -= 1
      const now = (this.#running.get(peer) ?? 1) - 1
      if (now === 0) this.#running.delete(peer)
      else this.#running.set(peer, now)
    }
  }
}

export interface LaneLoadInit {
  readonly requestsPerPeer: number
  /** Of all peers together. */
  readonly requests: number
}
