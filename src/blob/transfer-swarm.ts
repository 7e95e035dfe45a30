/**
 * One transfer's place in the swarm of its blob. Owns what the swarm told so far, until the size is known and somebody can
 * make use of it, and what is to be told to the swarm: chunks that come fast are told together.
 */
import type { Digest } from '../oci/digest.ts'
import type { BlobSwarm, ChunkHash, ChunkStatement, Lease, LeaseAsk, PeerSource, Swarm, SwarmEvents } from './ports.ts'

/** A claim costs a signature, and a message to every peer that wants the blob. */
const TELL_AFTER_MS = 20
const TELL_CLAIMS = 32
/** Statements that are kept while the size of the blob is not known. */
const MAX_EARLY_STATEMENTS = 512

export interface TransferSwarmInit {
  readonly digest: Digest
  readonly registry: string
}

export class TransferSwarm implements SwarmEvents {
  readonly #swarm: Swarm
  readonly #digest: Digest
  readonly #registry: string
  #membership: BlobSwarm | undefined
  readonly #peers = new Map<string, PeerSource>()
  readonly #statements: ChunkStatement[] = []
  readonly #banned = new Set<string>()
  #listener: SwarmEvents | undefined
  #onNews: (() => void) | undefined
  #isSearched = false
  #isAnnounced = false
  #hasLeft = false
  #untoldChunks: number[] = []
  #untoldClaims = new Map<number, ChunkHash>()
  #telling: NodeJS.Timeout | undefined

  constructor(components: { readonly swarm: Swarm }, init: TransferSwarmInit) {
    this.#swarm = components.swarm
    this.#digest = init.digest
    this.#registry = init.registry
  }

  join(): void {
    this.#membership ??= this.#swarm.join({ digest: this.#digest, registry: this.#registry }, this)
  }

  get hasPeers(): boolean {
    return this.#swarm.hasPeers
  }

  /** Other agents that are connected, whatever they have. */
  get peerCount(): number {
    return this.#swarm.peerCount
  }

  get isSearched(): boolean {
    return this.#isSearched
  }

  /** Peers found and not left. */
  get peers(): readonly PeerSource[] {
    return [...this.#peers.values()]
  }

  /** By size of the blob, who says that it is this: peers and signers. */
  get sizes(): ReadonlyMap<number, ReadonlySet<string>> {
    const sizes = new Map<number, Set<string>>()
    const say = (size: number, who: string): void => void sizes.set(size, (sizes.get(size) ?? new Set()).add(who))
    for (const { size, id } of this.#peers.values()) say(size, id)
    for (const { size, signer } of this.#statements) if (!this.#banned.has(signer)) say(size, signer)
    return sizes
  }

  /** @param onNews called at each event, until there is a listener */
  watch(onNews: (() => void) | undefined): void {
    this.#onNews = onNews
  }

  /** From now on all events go there; first what happened so far. */
  attach(listener: SwarmEvents): void {
    this.#onNews = undefined
    for (const statement of this.#statements) listener.stated(statement)
    for (const signer of this.#banned) listener.banned(signer)
    this.#statements.length = 0
    this.#listener = listener
    for (const peer of this.peers) listener.found(peer)
    if (this.#isSearched) listener.searched()
  }

  found(peer: PeerSource): void {
    if (this.#hasLeft) return
    this.#peers.set(peer.id, peer)
    this.#listener?.found(peer)
    this.#onNews?.()
  }

  gained(peer: PeerSource): void {
    if (!this.#hasLeft) this.#listener?.gained(peer)
  }

  left(peer: PeerSource): void {
    if (this.#hasLeft) return
    if (this.#peers.get(peer.id) === peer) this.#peers.delete(peer.id)
    this.#listener?.left(peer)
    this.#onNews?.()
  }

  stated(statement: ChunkStatement): void {
    if (this.#hasLeft || statement.digest !== this.#digest) return
    if (this.#listener !== undefined) this.#listener.stated(statement)
    else if (this.#statements.length < MAX_EARLY_STATEMENTS) this.#statements.push(statement)
    this.#onNews?.()
  }

  banned(signer: string): void {
    if (this.#hasLeft) return
    if (this.#listener === undefined) this.#banned.add(signer)
    this.#listener?.banned(signer)
  }

  /** The answer comes as `leased` to who is attached. */
  lease(ask: LeaseAsk): void {
    if (!this.#hasLeft) this.#membership?.lease(ask)
  }

  leased(lease: Lease): void {
    if (!this.#hasLeft) this.#listener?.leased(lease)
  }

  searched(): void {
    if (this.#hasLeft) return
    this.#isSearched = true
    this.#listener?.searched()
    this.#onNews?.()
  }

  /** A chunk is verified here. @param claim its hash, if it came from an origin */
  verified(index: number, claim: ChunkHash | undefined): void {
    if (this.#hasLeft) return
    if (!this.#isAnnounced) this.#swarm.announce(this.#digest)
    this.#isAnnounced = true
    this.#untoldChunks.push(index)
    if (claim !== undefined) this.#untoldClaims.set(index, claim)
    if (this.#untoldClaims.size >= TELL_CLAIMS) this.#tell()
    else this.#telling ??= setTimeout(() => this.#tell(), TELL_AFTER_MS).unref()
  }

  /** The whole blob matched. */
  settle(hashes: readonly ChunkHash[], statements: readonly ChunkStatement[]): void {
    if (this.#hasLeft) return
    this.#tell()
    this.#membership?.settle(hashes, statements)
  }

  leave(): void {
    if (this.#hasLeft) return
    this.#tell()
    this.#hasLeft = true
    this.#peers.clear()
    this.#membership?.leave()
  }

  #tell(): void {
    clearTimeout(this.#telling)
    this.#telling = undefined
    const [chunks, claims] = [this.#untoldChunks, this.#untoldClaims]
    this.#untoldChunks = []
    this.#untoldClaims = new Map()
    if (claims.size > 0) this.#membership?.claim(claims)
    if (chunks.length > 0) this.#membership?.has(chunks)
  }
}
