/**
 * Who said that it has a blob, as this agent is told because it is one of those nearest to the digest: whoever asks it is sent there, without a lookup. Hints, no
 * more: the directory is what counts. Owns a bounded memory of them, in which no peer can push out the others.
 */
import type { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/digest.ts'
import { lru } from '../../util/lru.ts'

const MAX_PER_PEER = 1_024
const MAX_HINTS = 16_384

export class Holders {
  readonly #byPeer = new Map<string, LRUCache<Digest, true>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  note(peer: string, digest: Digest): void {
    const known = this.#byPeer.get(peer) ?? lru<Digest, true>(MAX_PER_PEER)
    this.#byPeer.set(peer, known)
    const before = known.size
    known.set(digest, true)
    this.#size += known.size - before
    if (this.#size > MAX_HINTS) this.#forgetOne()
  }

  drop(peer: string): void {
    this.#size -= this.#byPeer.get(peer)?.size ?? 0
    this.#byPeer.delete(peer)
  }

  of(digest: Digest): string[] {
    const peers: string[] = []
    for (const [peer, known] of this.#byPeer) if (known.has(digest)) peers.push(peer)
    return peers
  }

  #forgetOne(): void {
    let largest: LRUCache<Digest, true> | undefined
    for (const known of this.#byPeer.values()) if (known.size > (largest?.size ?? 0)) largest = known
    largest?.pop()
    this.#size -= 1
  }
}
