/**
 * What the core needs from the outside. `store`, `origin` and `swarm` implement these; the core knows nothing
 * else of them. All positions and sizes are bytes; every range is [start, end).
 */
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { ChunkPlan } from './chunk-plan.ts'

export interface Abortable {
  readonly signal: AbortSignal
}

export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** On whose behalf something is asked of an origin. */
export interface Scope {
  readonly repository: Repository
  /** The client's own `Authorization`; takes precedence over the agent's credentials and is never stored or logged. */
  readonly authorization: string | undefined
}

// ---------------------------------------------------------------------------------------------------------- store

export interface StoredBlob {
  readonly digest: Digest
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly storedAt: number
  readonly usedAt: number
  readonly pinned: boolean
}

/** Random access to the verified bytes of one blob. Close it: the store keeps what is open. */
export interface BlobReader {
  readonly digest: Digest
  readonly size: number
  /**
   * Reads up to `target.length` bytes at `position` into `target`, waiting until at least one is there.
   * @returns how many were read; 0 only at the end of the blob
   * @throws ShoalError when the bytes will not come
   */
  read(target: Uint8Array, position: number, options: Abortable): Promise<number>
  close(): Promise<void>
}

/** What comes and goes. Called synchronously; must not throw. */
export interface ContentEvents {
  added(digest: Digest): void
  removed(digest: Digest): void
}

export interface BlobStore {
  /** From memory or the index, without touching the blob. */
  stat(digest: Digest): StoredBlob | undefined
  /** Marks the blob as used. @throws ShoalError BLOB_UNKNOWN when it is not here, STORE_FAILED */
  open(digest: Digest): Promise<BlobReader>
  /** Stores a small blob whose bytes the caller has verified. @throws ShoalError STORE_FULL, STORE_FAILED */
  put(digest: Digest, bytes: Uint8Array): Promise<void>
  /**
   * Hashes of all chunks of a complete blob, in order; computed where they are not known. Does not count as a use.
   * @returns undefined when it is not here, or turns out to be damaged
   * @throws ShoalError STORE_FAILED, the signal's reason
   */
  chunkHashes(digest: Digest, options: Abortable): Promise<readonly ChunkHash[] | undefined>
  /** Complete blobs that are here from now on, or no longer. @returns a function that ends it */
  subscribe(events: ContentEvents): () => void
  /** Bytes of the blob of which some chunks are here from an earlier transfer, or undefined. */
  partialSize(digest: Digest): number | undefined
  /**
   * Creates the partial blob, or takes up the one of an earlier run if it is of the same size and `takeUp` is not false
   * (else that is dropped). Room for `size` bytes is made first. One digest is open once at a time.
   * @throws ShoalError STORE_FULL, STORE_FAILED
   */
  openPartial(digest: Digest, size: number, options?: { readonly takeUp: boolean }): Promise<PartialBlob>
}

/** SHA-256 of one chunk in lower-case hex. */
export type ChunkHash = string

/**
 * A blob on its way in. Bytes written here are nobody's truth: the transfer decides what may be read, `blob/verifier`
 * what is good. Only `commit` makes it a blob of the store.
 */
export interface PartialBlob {
  readonly digest: Digest
  readonly plan: ChunkPlan
  /** Chunks that the chunk log of an earlier run claims to be on disk. A claim to be checked, not a fact. */
  readonly claimed: ReadonlyMap<number, ChunkHash>
  /** Those of them that rested on the word of one peer. */
  readonly unsure: ReadonlySet<number>
  /** @throws ShoalError STORE_FULL, STORE_FAILED */
  write(position: number, buffers: readonly Uint8Array[]): Promise<void>
  /** Reads what is on disk, whether good or not. @returns bytes read */
  read(target: Uint8Array, position: number): Promise<number>
  /** Hash of the chunk as it is on disk now. Runs off the event loop. */
  hashChunk(index: number): Promise<ChunkHash>
  /**
   * Extends the running digest of the whole blob by chunk `index`, which must come in order 0, 1, 2 …, and gives the
   * chunk's own hash from the same reading.
   * @param known from `hashChunk`, since when the chunk was not written: is not computed again
   */
  appendToDigest(index: number, known?: ChunkHash): Promise<ChunkHash>
  /** Digest over everything that was appended. */
  finishDigest(): Promise<Digest>
  /** Forgets what was appended, to start again at chunk 0. */
  restartDigest(): void
  /**
   * Appends to the chunk log: after a crash the chunk is claimed, and used if it still has this hash.
   * @param options.isSure false: it rests on the word of one peer, and is claimed as `unsure`
   */
  logChunk(index: number, hash: ChunkHash, options: { readonly isSure: boolean }): Promise<void>
  /** Syncs and moves it among the blobs; it can be read until it is closed. Call it only when the digest matched. */
  commit(): Promise<void>
  /** Removes it from the disk and closes it. */
  discard(): Promise<void>
  /** Lets go of it; what is not committed is kept on disk for a later transfer. A second call does nothing. */
  close(): Promise<void>
}

/** What an origin said about its repositories, kept across restarts: the base of tags and access without the origin. */
export interface RepositoryIndex {
  /** The last digest an origin gave this agent for the tag. */
  tag(repository: Repository, tag: string): SeenTag | undefined
  /** What peers said of the tag is forgotten by that. */
  recordTag(repository: Repository, tag: string, seen: SeenTag): void
  /** What peers said last that they saw of the tag. Kept apart, for this agent never tells it as its own. */
  peersTag(repository: Repository, tag: string): SeenTag | undefined
  recordPeersTag(repository: Repository, tag: string, seen: SeenTag): void
  /** Both. */
  forgetTag(repository: Repository, tag: string): void
  /** Whether the origin said before that the digest is in this repository. */
  isLinked(repository: Repository, digest: Digest): boolean
  link(repository: Repository, digests: readonly Digest[]): void
  /** Of a manifest, as this registry states it. */
  mediaType(registry: string, digest: Digest): string | undefined
  recordMediaType(registry: string, digest: Digest, mediaType: string): void
  /** When the origin last admitted `identity` to the repository, milliseconds since the epoch. */
  admittedAt(repository: Repository, identity: string): number | undefined
  /** `keep: false` stays in memory only: whatever comes from a client's own credentials. */
  recordAdmission(repository: Repository, identity: string, at: number, options: { keep: boolean }): void
  forgetAdmission(repository: Repository, identity: string): void
}

export interface SeenTag {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly at: number
}

// ------------------------------------------------------------------------------------------------ sources of chunks

/** Bytes of one blob as they arrive from a source. */
export interface SourceBody {
  /** Bytes of the whole blob as the source states it, undefined when it does not. */
  readonly totalSize: number | undefined
  /** The source knows no ranges: each request costs all that is before its start. */
  readonly ignoresRange?: boolean
  /** From the asked start; ends early only by an error. Ending the iteration closes the connection. */
  readonly bytes: AsyncIterable<Uint8Array>
}

export interface AskOptions extends Abortable {
  /** Called when the source is being asked, after whatever the request waited for its turn. */
  readonly onAsked?: () => void
}

/** A peer or an origin, as a transfer sees it. */
export interface ChunkSource {
  readonly kind: 'origin' | 'peer'
  /** Tells sources of one transfer apart; safe to log. */
  readonly id: string
  /**
   * Asks for the bytes from `start` to `end` (undefined: to the end of the blob). Retries, timeouts and resuming after
   * a cut are the source's own affair: an error means that it has given up.
   * @throws ShoalError
   */
  open(range: { start: number; end: number | undefined }, options: AskOptions): Promise<SourceBody>
}

// ---------------------------------------------------------------------------------------------------------- swarm

/**
 * What one agent says about the chunks of a blob, signed, so that it can be held to it. A `map` covers every chunk and
 * says that its signer verified the whole blob; a `claim` covers the chunks that its signer got from an origin itself.
 * Made by `swarm/` from what a peer sent, after the signature was checked.
 */
export interface ChunkStatement {
  readonly kind: 'map' | 'claim'
  readonly digest: Digest
  /** Bytes of the whole blob, as the signer says. */
  readonly size: number
  /** Id of the peer that signed it, not of the one that passed it on. */
  readonly signer: string
  /** By index of the chunk; every index exists in the plan of `size`. */
  readonly hashes: ReadonlyMap<number, ChunkHash>
  /** As it travels: bytes and signature. */
  readonly encoded: Uint8Array
}

/** How a peer did on one request, for its standing with this agent. */
export type Conduct =
  | { readonly type: 'delivered'; readonly bytes: number; readonly ms: number }
  /** Its bytes match nothing that anybody claims for the chunk, or are not what the digest of a blob of one chunk says. */
  | { readonly type: 'wrong-bytes'; readonly index: number; readonly bytes: number }
  | { readonly type: 'stalled' }
  | { readonly type: 'failed' }

/** A peer that has at least one chunk of the blob. */
export interface PeerSource extends ChunkSource {
  readonly kind: 'peer'
  /** The peer's id. */
  readonly id: string
  /** Bytes of the blob, as the peer says. */
  readonly size: number
  has(index: number): boolean
  /** Chunks that it has now as bits, chunk 0 the lowest one of the first byte. Nobody changes or keeps it. */
  readonly bits: Uint8Array
  report(conduct: Conduct): void
}

/** Chunks [from, to). */
export interface ChunkRange {
  readonly from: number
  readonly to: number
}

/** What an agent would fetch of a blob from its origin. */
export interface LeaseAsk {
  /** Bytes of the whole blob. */
  readonly size: number
  /**
   * Chunks that it lacks and that no peer it knows of has, in the order in which it would fetch them. What it held a lease for
   * and names neither here nor in `fetching`, it has.
   */
  readonly gaps: readonly ChunkRange[]
  /** Chunks that it is fetching from the origin now. */
  readonly fetching: readonly ChunkRange[]
  /** So many chunks it can make use of; 0: it only tells how far it is. */
  readonly most: number
}

/** Leave to fetch chunks from the origin, while nobody else does. */
export interface Lease {
  /** Empty: others are fetching what was asked for. */
  readonly ranges: readonly ChunkRange[]
  /** Milliseconds for which it holds; without a chunk, before which it is no use to ask again. */
  readonly forMs: number
  /** Agents that take part in the blob's swarm, this one included. */
  readonly members: number
}

export interface SwarmEvents {
  /** Another peer has at least one chunk; comes once for each peer, again after `left`. */
  found(peer: PeerSource): void
  /** The peer has more chunks than before. */
  gained(peer: PeerSource): void
  /** The peer is gone, has dropped the blob or is banned. Requests to it that run end with an error by themselves. */
  left(peer: PeerSource): void
  /** Comes before `found` or `gained` of what it is about, and once for each statement. */
  stated(statement: ChunkStatement): void
  /** Whatever this signer stated is void. */
  banned(signer: string): void
  /** The answer to the last `BlobSwarm.lease`. */
  leased(lease: Lease): void
  /** The first search is over: whoever could be found by now was. Called once. */
  searched(): void
}

/** The swarm of one blob, as a transfer takes part in it. */
export interface BlobSwarm {
  /** These chunks were verified here: peers that want the blob are told. */
  has(indexes: readonly number[]): void
  /** These chunks came from an origin and have these hashes: signed and told to peers. */
  claim(hashes: ReadonlyMap<number, ChunkHash>): void
  /**
   * Asks for leave to fetch chunks from the origin; a new ask replaces the one before. It is always answered by `leased`, after
   * some seconds at the latest, for the sake of the peers that want the same: without any, there is no need to ask.
   */
  lease(ask: LeaseAsk): void
  /** The whole blob matched its digest and these are the hashes of its chunks: false statements are proven by that. */
  settle(hashes: readonly ChunkHash[], statements: readonly ChunkStatement[]): void
  /** No events any more. */
  leave(): void
}

/** The other agents. Nothing here ever fails a pull: what cannot be had is as if nobody had it. */
export interface Swarm {
  /** False while no other agent is connected: a search would find nobody. */
  readonly hasPeers: boolean
  /** Other agents that are connected. */
  readonly peerCount: number
  /**
   * Searches for peers that have chunks of the blob and may give them in the name of `registry`, for as long as
   * the transfer takes part.
   */
  join(blob: { readonly digest: Digest; readonly registry: string }, events: SwarmEvents): BlobSwarm
  /** Makes known that this agent has at least one verified chunk of it. In the background. */
  announce(digest: Digest): void
  /**
   * A small blob (a manifest) whole, its digest checked, from a peer that may give it in the name of `registry`.
   * @returns undefined when nobody has it
   */
  fetchSmall(
    blob: { readonly digest: Digest; readonly registry: string; readonly maxBytes: number },
    options: Abortable,
  ): Promise<Buffer | undefined>
  /** Makes known that this agent saw the tag at the origin and can tell. In the background. */
  announceTag(repository: Repository, tag: string): void
  /** The newest of what agents say that saw the tag at the origin; their signatures are checked. */
  findTag(repository: Repository, tag: string, options: Abortable): Promise<SeenTag | undefined>
  /**
   * When an origin last admitted one of these identities to the repository, as other agents remember it: milliseconds since the
   * epoch. Only identities that mean the same on every agent are asked for.
   */
  findAdmission(repository: Repository, identities: readonly string[], options: Abortable): Promise<number | undefined>
  /** Whether some agent says that the origin told it that the digest is in this repository. */
  findLink(repository: Repository, digest: Digest, options: Abortable): Promise<boolean>
  /** Whether some peer has all of the blob now and may give it in the name of `registry`. */
  hasBlob(blob: { readonly digest: Digest; readonly registry: string }, options: Abortable): Promise<boolean>
}

/** What this agent has of a blob and gives to peers. */
export interface SharedBlob {
  readonly digest: Digest
  /** Bytes of the whole blob. */
  readonly size: number
  /** Every chunk is here and the whole digest matched. */
  readonly isComplete: boolean
  /** Whether the chunk is here and verified. */
  has(index: number): boolean
  /** Statements of others that this agent took over while the blob is not complete here. */
  readonly statements: readonly ChunkStatement[]
  /** This agent's own claims: chunks that it got from an origin. */
  readonly claims: ReadonlyMap<number, ChunkHash>
}

/** What the swarm serves peers from. Implemented by the core. */
export interface SharedContent {
  /**
   * What peers may have of it in the name of `registry`; undefined for nothing. It is a view of this moment.
   * A registry's name counts only if it may vouch for the content (`blob/access`).
   */
  find(digest: Digest, registry: string): SharedBlob | undefined
  /** Reads what `find` showed as verified. @throws ShoalError BLOB_UNKNOWN when it is gone */
  open(digest: Digest, registry: string): Promise<BlobReader>
  /** Hashes of all chunks of a blob that is complete here, in order; taken from memory or disk, else computed. */
  chunkHashes(digest: Digest, options: Abortable): Promise<readonly ChunkHash[] | undefined>
  /** Digests of everything complete that is here, most recently used first. */
  digests(): Iterable<Digest>
  /** Complete blobs that are here from now on, or no longer. @returns a function that ends it */
  subscribe(events: ContentEvents): () => void
  /** What this agent itself saw of the tag at the origin. */
  tag(repository: Repository, tag: string): SeenTag | undefined
  /** When the origin admitted one of the identities here. */
  admittedAt(repository: Repository, identities: readonly string[]): number | undefined
  /** Whether the origin told this agent that the digest is in the repository. */
  isLinked(repository: Repository, digest: Digest): boolean
}

// --------------------------------------------------------------------------------------------------------- origin

export interface Descriptor {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
}

export interface ManifestBytes {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Buffer
}

/**
 * Who an origin sees: the client's own credentials, the agent's, or nobody's. `agent-shared`: the agent's, under a key that
 * every agent of the swarm with equal credentials has. Only that one and `anonymous` mean the same on other agents.
 */
export interface Identity {
  /** Opaque, without secrets: a key for what the origin admitted. */
  readonly key: string
  readonly kind: 'anonymous' | 'agent' | 'agent-shared' | 'client'
}

/** An answer that is handed on as it is: tags/list, _catalog, referrers. */
export interface ListAnswer {
  readonly contentType: string | undefined
  /** `Link` of the origin, for paging. */
  readonly link: string | undefined
  /** `OCI-Filters-Applied` of the origin. */
  readonly filtersApplied: string | undefined
  readonly body: Buffer
}

/** Upstream registries. Every method throws ShoalError with the codes of an origin: see `errors.ts`. */
export interface OriginOptions extends Abortable {
  /** The registry itself was out just now: only its mirrors are asked, and that none has an answer is an outage. */
  readonly mirrorsOnly?: boolean
}

export interface Origin {
  /** @throws ShoalError REGISTRY_NOT_ALLOWED */
  identity(scope: Scope): Identity
  /** Whether a mirror may be asked in this scope that did not fail when it was asked last. */
  hasLiveMirror(scope: Scope): boolean
  /** HEAD of a tag with the full Accept list; GET where HEAD is not supported or says too little. */
  resolveTag(scope: Scope, tag: string, options: OriginOptions): Promise<Descriptor>
  /** GET by digest; the bytes have this digest, else DIGEST_MISMATCH. */
  fetchManifest(scope: Scope, digest: Digest, options: Abortable): Promise<ManifestBytes>
  /** HEAD by digest: whether this scope may have it. @returns its media type, undefined if the origin does not say */
  checkManifest(scope: Scope, digest: Digest, options: OriginOptions): Promise<string | undefined>
  /** HEAD by digest. @returns size in bytes, undefined if the origin does not say */
  checkBlob(scope: Scope, digest: Digest, options: OriginOptions): Promise<number | undefined>
  /** @param options.mirrorsLast asks the registry itself first, for a mirror may be what is wrong */
  blobSource(scope: Scope, digest: Digest, options?: { readonly mirrorsLast: boolean }): ChunkSource
  /** @param query as the client sent it, without `ns` */
  listTags(scope: Scope, query: string, options: Abortable): Promise<ListAnswer>
  /** undefined: this origin has no referrers API */
  listReferrers(scope: Scope, digest: Digest, query: string, options: Abortable): Promise<ListAnswer | undefined>
  listCatalog(
    registry: { registry: string; authorization: string | undefined },
    query: string,
    options: Abortable,
  ): Promise<ListAnswer>
}

// ------------------------------------------------------------------------------------------------------ telemetry

/** What became of a chunk that came from somewhere. */
export interface ChunkFate {
  readonly digest: Digest
  readonly chunk: number
  /** `store`: an earlier transfer left it on disk. */
  readonly source: 'origin' | 'peer' | 'store'
  /** Id of the peer that brought it alone. */
  readonly peer: string | undefined
  /** `wasted`: some or all of it is thrown away without blame; `rejected`: it is not what was stated of it. */
  readonly event: 'verified' | 'wasted' | 'rejected'
}

/** What the core reports; `telemetry/metrics` counts it. */
export interface TransferMetrics {
  received(source: 'origin' | 'peer', bytes: number): void
  /** Received and thrown away: wrong, or here already. */
  wasted(source: 'origin' | 'peer', bytes: number): void
  /** A chunk was hashed and found good. */
  verified(): void
  /** A chunk that came from such a source is not what was stated, and was thrown away. */
  rejected(source: 'origin' | 'peer'): void
  /** A chunk was asked for a second time, from this source, because the first one was late. */
  duplicated(source: 'origin' | 'peer'): void
  /** A chunk came from an origin that no coordinator had given to this agent: it is alone, was not answered, or was late. */
  withoutLeave?(): void
  transferEnded(outcome: 'complete' | 'failed' | 'mismatched' | 'abandoned', seconds: number): void
  passedThrough(): void
  /** Only where transfers are recorded. Called synchronously; must not throw. */
  chunk?(fate: ChunkFate): void
}
