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

const MAX_TURNED_AWAY = 256

/** Who wants what, at most `maxPerPeer` for each peer. Of those that were turned away it remembers some, for as long as there are others that want the same. */
export class WantTable {
  readonly #maxPerPeer: number
  readonly #byPeer = new Map<string, Map<string, Want>>()
  readonly #byDigest = new Map<Digest, Set<Want>>()

  /** By digest, peers and the registry in whose name they asked. */
  readonly #turnedAway = new Map<Digest, Map<string, string>>()

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
    this.#turnedAway.get(key.digest)?.delete(peer)
    const wants = this.#byPeer.get(peer) ?? new Map<string, Want>()
    if (wants.size >= this.#maxPerPeer) return undefined
    const want: Want = { peer, key, believes: 'nothing-yet', told: new Set() }
    this.#byPeer.set(peer, wants.set(nameOf(key), want))
    this.#byDigest.set(key.digest, (this.#byDigest.get(key.digest) ?? new Set()).add(want))
    return want
  }

  /** It is not told anything, but named to others that want the same. Nothing is remembered where nobody is told anything. */
  turnAway(peer: string, { digest, registry }: BlobKey): void {
    if (!this.#byDigest.has(digest)) return
    const peers = this.#turnedAway.get(digest) ?? new Map<string, string>()
    this.#turnedAway.set(digest, peers.set(peer, registry))
    const [first] = peers.keys()
    if (first !== undefined && peers.size > MAX_TURNED_AWAY) peers.delete(first)
  }

  /** Peers that want it in the name of the same registry, the ones turned away among them. */
  whoWant({ digest, registry }: BlobKey): readonly string[] {
    const told = this.of(digest).filter(({ key }) => key.registry === registry)
    const turnedAway = [...(this.#turnedAway.get(digest) ?? [])].filter(([, asked]) => asked === registry)
    return [...told.map(({ peer }) => peer), ...turnedAway.map(([peer]) => peer)]
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
    if (same?.size !== 0) return
    this.#byDigest.delete(want.key.digest)
    this.#turnedAway.delete(want.key.digest)
  }

  /** The peer is gone. */
  drop(peer: string): void {
    for (const want of this.ofPeer(peer)) this.remove(want)
    for (const peers of this.#turnedAway.values()) peers.delete(peer)
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
    this.#turnedAway.clear()
  }
}

function nameOf({ digest, registry }: BlobKey): string {
  return `${digest} ${registry}`
}
