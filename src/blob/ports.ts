/**
 * What the core needs from the outside. `store` and `origin` (and `swarm`) implement these; the core knows nothing
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

export interface BlobStore {
  /** From memory or the index, without touching the blob. */
  stat(digest: Digest): StoredBlob | undefined
  /** Marks the blob as used. @throws ShoalError BLOB_UNKNOWN when it is not here, STORE_FAILED */
  open(digest: Digest): Promise<BlobReader>
  /** Stores a small blob whose bytes the caller has verified. @throws ShoalError STORE_FULL, STORE_FAILED */
  put(digest: Digest, bytes: Uint8Array): Promise<void>
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
  /** @throws ShoalError STORE_FULL, STORE_FAILED */
  write(position: number, buffers: readonly Uint8Array[]): Promise<void>
  /** Reads what is on disk, whether good or not. @returns bytes read */
  read(target: Uint8Array, position: number): Promise<number>
  /** Hash of the chunk as it is on disk now. Runs off the event loop. */
  hashChunk(index: number): Promise<ChunkHash>
  /**
   * Extends the running digest of the whole blob by chunk `index`, which must come in order 0, 1, 2 …, and gives the
   * chunk's own hash from the same reading.
   */
  appendToDigest(index: number): Promise<ChunkHash>
  /** Digest over everything that was appended. */
  finishDigest(): Promise<Digest>
  /** Forgets what was appended, to start again at chunk 0. */
  restartDigest(): void
  /** Appends to the chunk log: after a crash the chunk is claimed, and used if it still has this hash. */
  logChunk(index: number, hash: ChunkHash): Promise<void>
  /** Syncs and moves it among the blobs; it can be read until it is closed. Call it only when the digest matched. */
  commit(): Promise<void>
  /** Removes it from the disk and closes it. */
  discard(): Promise<void>
  /** Lets go of it; what is not committed is kept on disk for a later transfer. A second call does nothing. */
  close(): Promise<void>
}

/** What an origin said about its repositories, kept across restarts: the base of tags and access without the origin. */
export interface RepositoryIndex {
  /** The last digest an origin gave for the tag. */
  tag(repository: Repository, tag: string): SeenTag | undefined
  recordTag(repository: Repository, tag: string, seen: SeenTag): void
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
  /** From the asked start; ends early only by an error. Ending the iteration closes the connection. */
  readonly bytes: AsyncIterable<Uint8Array>
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
  open(range: { start: number; end: number | undefined }, options: Abortable): Promise<SourceBody>
}

/**
 * Where else a blob may be had: the swarm.
 * @public
 */
export interface SourceDirectory {
  /** Sources as they are found, best effort; ends when the search does. */
  find(digest: Digest, options: Abortable): AsyncIterable<ChunkSource>
  /** Makes known that this agent has at least one verified chunk of the blob. In the background; never fails. */
  announce(digest: Digest): void
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

/** Who an origin sees: the client's own credentials, the agent's, or nobody's. */
export interface Identity {
  /** Opaque, without secrets: a key for what the origin admitted. */
  readonly key: string
  readonly kind: 'anonymous' | 'agent' | 'client'
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
export interface Origin {
  /** @throws ShoalError REGISTRY_NOT_ALLOWED */
  identity(scope: Scope): Identity
  /** HEAD of a tag with the full Accept list; GET where HEAD is not supported or says too little. */
  resolveTag(scope: Scope, tag: string, options: Abortable): Promise<Descriptor>
  /** GET by digest; the bytes have this digest, else DIGEST_MISMATCH. */
  fetchManifest(scope: Scope, digest: Digest, options: Abortable): Promise<ManifestBytes>
  /** HEAD by digest: whether this scope may have it. */
  checkManifest(scope: Scope, digest: Digest, options: Abortable): Promise<void>
  /** HEAD by digest. @returns size in bytes, undefined if the origin does not say */
  checkBlob(scope: Scope, digest: Digest, options: Abortable): Promise<number | undefined>
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

/** What the core reports; `telemetry/metrics` counts it. */
export interface TransferMetrics {
  received(source: 'origin' | 'peer', bytes: number): void
  transferEnded(outcome: 'complete' | 'failed' | 'mismatched' | 'abandoned', seconds: number): void
  passedThrough(): void
}
