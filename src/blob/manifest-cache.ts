/**
 * Manifests that are here: the last ones in memory, all in the store. Owns the memory and what is being stored; whatever is kept
 * has its digest, which was checked by whoever brings it. Called by ManifestService and ManifestFetcher.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestOf } from '../oci/digest.ts'
import { readManifest } from '../oci/manifest.ts'
import { OCI_MANIFEST } from '../oci/media-type.ts'
import type { Logger } from '../util/logger.ts'
import type { Access } from './access.ts'
import type { Abortable, BlobStore, RepositoryIndex, Swarm } from './ports.ts'
import type { StatedSizes } from './stated-sizes.ts'

const CACHE_BYTES = 32 * 1024 * 1024
/** Larger than what the origin client accepts is not a manifest. */
export const MAX_MANIFEST_BYTES = 8 * 1024 * 1024

export interface Held {
  readonly mediaType: string
  readonly bytes: Buffer
}

export interface ManifestCacheComponents {
  readonly store: BlobStore
  readonly repositories: RepositoryIndex
  readonly access: Access
  readonly swarm: Pick<Swarm, 'announce'>
  readonly sizes: StatedSizes
  readonly log: Logger
}

export class ManifestCache {
  readonly #components: ManifestCacheComponents
  /** By registry too: it is the registry that says of what media type the bytes are. */
  readonly #cache = new LRUCache<string, Held>({
    maxSize: CACHE_BYTES,
    sizeCalculation: (held) => held.bytes.length + 512,
  })
  readonly #writing = new Set<Promise<void>>()

  constructor(components: ManifestCacheComponents) {
    this.#components = components
  }

  /** What is here and the registry may vouch for. */
  async get(registry: string, digest: Digest, options: Abortable): Promise<Held | undefined> {
    const cached = this.#cache.get(cacheKey(registry, digest))
    if (cached !== undefined) return cached
    return this.#components.access.mayVouch(registry, digest) ? this.#fromStore(registry, digest, options) : undefined
  }

  /** Keeps bytes of this digest that the registry, or a peer in its name, has sent; peers are told when they are stored. */
  keep(registry: string, digest: Digest, bytes: Buffer): Held {
    const held = { mediaType: this.#mediaType(registry, digest, bytes), bytes }
    this.#cache.set(cacheKey(registry, digest), held)
    this.#components.sizes.note(bytes)
    this.#components.access.served(registry, digest)
    if (digestAlgorithm(digest) === 'sha256') this.#storeInBackground(digest, bytes)
    return held
  }

  /** Resolves when what was kept is stored. */
  async stop(): Promise<void> {
    await Promise.all(this.#writing)
  }

  /** Never a peer's word: the registry's, else the document's own. */
  #mediaType(registry: string, digest: Digest, bytes: Buffer): string {
    return this.#components.repositories.mediaType(registry, digest) ?? readManifest(bytes).mediaType ?? OCI_MANIFEST
  }

  #storeInBackground(digest: Digest, bytes: Buffer): void {
    const { store, swarm, log } = this.#components
    const writing = store
      .put(digest, bytes)
      .then(() => swarm.announce(digest))
      .catch((error: unknown) => log.warn({ digest, err: error }, 'a manifest could not be stored'))
      .finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }

  async #fromStore(registry: string, digest: Digest, options: Abortable): Promise<Held | undefined> {
    const { store, log } = this.#components
    const stored = store.stat(digest)
    if (stored === undefined || stored.size > MAX_MANIFEST_BYTES) return undefined
    try {
      const bytes = await readAll(store, digest, options)
      if (!isOfDigest(bytes, digest)) throw new ShoalError('DIGEST_MISMATCH', 'the stored manifest is damaged')
      const held = { mediaType: this.#mediaType(registry, digest, bytes), bytes }
      this.#cache.set(cacheKey(registry, digest), held)
      this.#components.sizes.note(bytes)
      return held
    } catch (error) {
      options.signal.throwIfAborted()
      log.warn({ digest, err: error }, 'a stored manifest could not be read')
      return undefined
    }
  }
}

/** For small blobs: hashes on the event loop. */
export function isOfDigest(bytes: Uint8Array, digest: Digest): boolean {
  const algorithm = digestAlgorithm(digest)
  return digestOf(algorithm, createHash(algorithm).update(bytes).digest('hex')) === digest
}

function cacheKey(registry: string, digest: Digest): string {
  return `${registry} ${digest}`
}

async function readAll(store: BlobStore, digest: Digest, options: Abortable): Promise<Buffer> {
  const reader = await store.open(digest)
  try {
    const bytes = Buffer.alloc(reader.size)
    for (let position = 0; position < bytes.length; ) {
      const read = await reader.read(bytes.subarray(position), position, options)
      if (read === 0) throw new ShoalError('STORE_FAILED', 'the stored manifest is short')
      position += read
    }
    return bytes
  } finally {
    await reader.close()
  }
}
