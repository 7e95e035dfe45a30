import type { Digest } from '../../oci/digest.ts'
import type { BlobKey } from '../protocol/wire-messages.ts'

/** One peer wants to know about one blob. */
export interface Want {
  readonly peer: string
  readonly key: BlobKey
  /** What the peer was told of the blob as a whole. */
  believes: 'nothing-yet' | 'none' | 'some' | 'all'
  /** Keys of statements it was told. */
  readonly told: Set<string>
}

/** Who wants what, at most `maxPerPeer` for each peer. */
export class WantTable {
  readonly #maxPerPeer: number
  readonly #byPeer = new Map<string, Map<string, Want>>()
  readonly #byDigest = new Map<Digest, Set<Want>>()

  constructor(init: { readonly maxPerPeer: number }) {
    this.#maxPerPeer = init.maxPerPeer
  }

  get size(): number {
    let size = 0
    for (const wants of this.#byPeer.values()) size += wants.size
    return size
  }

  /** Replaces an earlier one for the same. @returns undefined when the peer wants too much */
  add(peer: string, key: BlobKey): Want | undefined {
    this.remove(this.get(peer, key))
    const wants = this.#byPeer.get(peer) ?? new Map<string, Want>()
    if (wants.size >= this.#maxPerPeer) return undefined
    const want: Want = { peer, key, believes: 'nothing-yet', told: new Set() }
    this.#byPeer.set(peer, wants.set(nameOf(key), want))
    this.#byDigest.set(key.digest, (this.#byDigest.get(key.digest) ?? new Set()).add(want))
    return want
  }

  get(peer: string, key: BlobKey): Want | undefined {
    return this.#byPeer.get(peer)?.get(nameOf(key))
  }

  has(want: Want): boolean {
    return this.#byDigest.get(want.key.digest)?.has(want) ?? false
  }

  remove(want: Want | undefined): void {
    if (want === undefined || !this.has(want)) return
    const wants = this.#byPeer.get(want.peer)
    wants?.delete(nameOf(want.key))
    if (wants?.size === 0) this.#byPeer.delete(want.peer)
    const same = this.#byDigest.get(want.key.digest)
    same?.delete(want)
    if (same?.size === 0) this.#byDigest.delete(want.key.digest)
  }

  of(digest: Digest): readonly Want[] {
    return [...(this.#byDigest.get(digest) ?? [])]
  }

  ofPeer(peer: string): readonly Want[] {
    return [...(this.#byPeer.get(peer)?.values() ?? [])]
  }

  clear(): void {
    this.#byPeer.clear()
    this.#byDigest.clear()
  }
}

function nameOf({ digest, registry }: BlobKey): string {
  return `${digest} ${registry}`
}
