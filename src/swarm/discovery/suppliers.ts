const MAX_REGISTRIES = 100
const MAX_PEERS = 8

/** Peers that gave this agent blobs of a registry, the last one first: the likeliest to have the next blob of it. */
export class Suppliers {
  readonly #peers = new Map<string, readonly string[]>()

  note(registry: string, peer: string): void {
    const before = this.#peers.get(registry) ?? []
    if (before[0] === peer) return
    this.#peers.delete(registry)
    this.#peers.set(registry, [peer, ...before.filter((other) => other !== peer)].slice(0, MAX_PEERS))
    const [oldest] = this.#peers.keys()
    if (this.#peers.size > MAX_REGISTRIES && oldest !== undefined) this.#peers.delete(oldest)
  }

  of(registry: string): readonly string[] {
    return this.#peers.get(registry) ?? []
  }
}
