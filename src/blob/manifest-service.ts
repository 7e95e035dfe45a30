/**
 * Manifests: tags are resolved at the origin each time; bytes come from memory, the store or the origin, in this order.
 * What a manifest lists becomes linked to its repository, so that its blobs need no question of their own.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { hasCode, isOutage, ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestOf } from '../oci/digest.ts'
import { type Platform, readManifest } from '../oci/manifest.ts'
import { OCI_MANIFEST } from '../oci/media-type.ts'
import type { TagOrDigest } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { SingleFlight } from '../util/single-flight.ts'
import type { Access } from './access.ts'
import type {
  Abortable,
  BlobStore,
  Descriptor,
  ListAnswer,
  ManifestBytes,
  Origin,
  RepositoryIndex,
  Scope,
} from './ports.ts'
import { answerReferrers } from './referrers.ts'
import type { ManifestAnswer, ManifestHead, Manifests, Stale } from './services.ts'

const CACHE_BYTES = 32 * 1024 * 1024
/** Larger than what the origin client accepts is not read from the store as a manifest. */
const MAX_MANIFEST_BYTES = 8 * 1024 * 1024

export interface ManifestServiceComponents {
  readonly origin: Origin
  readonly store: BlobStore
  readonly repositories: RepositoryIndex
  readonly access: Access
  /** Whether all bytes of the blob are on this host. */
  readonly hasBlob: (digest: Digest) => boolean
  readonly clock: Clock
  readonly log: Logger
}

export interface ManifestServiceInit {
  /** How old the last digest of a tag may be that answers when the origin cannot be asked. */
  readonly outageMs: number
  /** What the clients of this host run: decides which image of an index must be complete in an outage. */
  readonly platform: Platform
}

interface Held {
  readonly mediaType: string
  readonly bytes: Buffer
}

interface Resolved extends Descriptor {
  readonly stale: Stale | undefined
}

export class ManifestService implements Manifests {
  readonly #components: ManifestServiceComponents
  readonly #init: ManifestServiceInit
  readonly #cache = new LRUCache<Digest, Held>({
    maxSize: CACHE_BYTES,
    sizeCalculation: (held) => held.bytes.length + 512,
  })
  readonly #fetching = new SingleFlight<Held>()
  readonly #resolving = new SingleFlight<Descriptor>()
  readonly #writing = new Set<Promise<void>>()

  constructor(components: ManifestServiceComponents, init: ManifestServiceInit) {
    this.#components = components
    this.#init = init
  }

  async get(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestAnswer> {
    if ('digest' in reference) return this.#byDigest(scope, reference.digest, options)
    const resolved = await this.#resolve(scope, reference.tag, options)
    const answer = await this.#byDigest(scope, resolved.digest, options, resolved.stale !== undefined)
    return { ...answer, stale: resolved.stale }
  }

  async head(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestHead> {
    if ('digest' in reference) return this.#byDigest(scope, reference.digest, options)
    const resolved = await this.#resolve(scope, reference.tag, options)
    if (resolved.stale !== undefined) await this.#byDigest(scope, resolved.digest, options, true)
    return resolved
  }

  referrers(scope: Scope, digest: Digest, query: URLSearchParams, options: Abortable): Promise<ListAnswer> {
    const { origin } = this.#components
    return answerReferrers(
      { origin, getManifest: (tag) => this.get(scope, { tag }, options) },
      scope,
      digest,
      query,
      options,
    )
  }

  /** Resolves when what was fetched is stored. */
  async stop(): Promise<void> {
    await Promise.all(this.#writing)
  }

  // ------------------------------------------------------------------------------------------------------- tags

  async #resolve(scope: Scope, tag: string, { signal }: Abortable): Promise<Resolved> {
    const { origin, repositories, access, clock } = this.#components
    const { registry, name } = scope.repository
    const key = `${registry}/${name}:${tag} ${origin.identity(scope).key}`
    try {
      const found = await this.#resolving.run(key, signal, (shared) =>
        origin.resolveTag(scope, tag, { signal: shared }),
      )
      access.admitted(scope, [found.digest])
      repositories.recordTag(scope.repository, tag, { ...found, at: clock() })
      return { ...found, stale: undefined }
    } catch (error) {
      access.refused(scope, error)
      if (hasCode(error, 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN')) repositories.forgetTag(scope.repository, tag)
      const remembered = isOutage(error) ? this.#remembered(scope, tag) : undefined
      if (remembered === undefined) throw error
      this.#components.log.warn(
        {
          registry,
          repository: name,
          tag,
          digest: remembered.digest,
          ageSeconds: remembered.stale?.ageSeconds,
          err: error,
        },
        'the origin cannot be asked for a tag, its last digest answers',
      )
      return remembered
    }
  }

  #remembered(scope: Scope, tag: string): Resolved | undefined {
    const { repositories, access, clock } = this.#components
    const seen = repositories.tag(scope.repository, tag)
    if (seen === undefined || !access.isAdmittedInOutage(scope)) return undefined
    const ageMs = clock() - seen.at
    if (ageMs > this.#init.outageMs) return undefined
    const { digest, mediaType, size } = seen
    return { digest, mediaType, size, stale: { ageSeconds: Math.max(0, Math.round(ageMs / 1000)) } }
  }

  // -------------------------------------------------------------------------------------------------- by digest

  /** @param isOutage the origin is known to be out of reach: only what is complete is answered */
  async #byDigest(scope: Scope, digest: Digest, options: Abortable, isOutage = false): Promise<ManifestAnswer> {
    const held = this.#cache.get(digest) ?? (await this.#fromStore(digest, options))
    if (held === undefined) return answer(digest, await this.#fromOrigin(scope, digest, options))
    const admission = this.#components.access.isKnown(scope, digest)
      ? 'fresh'
      : await this.#components.access.ensure(scope, digest, 'manifest', options)
    if (isOutage || admission === 'outage') await this.#requireComplete(digest, held, options)
    return answer(digest, held)
  }

  async #fromOrigin(scope: Scope, digest: Digest, { signal }: Abortable): Promise<Held> {
    const { origin, access, repositories } = this.#components
    const key = `${scope.repository.registry}/${scope.repository.name} ${digest} ${origin.identity(scope).key}`
    try {
      const held = await this.#fetching.run(key, signal, async (shared) => {
        const fetched = await origin.fetchManifest(scope, digest, { signal: shared })
        this.#storeInBackground(fetched)
        repositories.recordMediaType(digest, fetched.mediaType)
        return fetched
      })
      this.#cache.set(digest, held)
      const contents = readManifest(held.bytes)
      access.admitted(scope, [digest, ...contents.blobs, ...contents.manifests.map((child) => child.digest)])
      return held
    } catch (error) {
      access.refused(scope, error)
      throw error
    }
  }

  #storeInBackground({ digest, bytes }: ManifestBytes): void {
    const { store, log } = this.#components
    if (digestAlgorithm(digest) !== 'sha256') return
    const writing = store
      .put(digest, bytes)
      .catch((error: unknown) => log.warn({ digest, err: error }, 'a manifest could not be stored'))
      .finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }

  async #fromStore(digest: Digest, options: Abortable): Promise<Held | undefined> {
    const { store, repositories, log } = this.#components
    const stored = store.stat(digest)
    if (stored === undefined || stored.size > MAX_MANIFEST_BYTES) return undefined
    try {
      const bytes = await readAll(store, digest, options)
      const found = digestOf(digestAlgorithm(digest), createHash(digestAlgorithm(digest)).update(bytes).digest('hex'))
      if (found !== digest) throw new ShoalError('DIGEST_MISMATCH', 'the stored manifest is damaged')
      const mediaType = repositories.mediaType(digest) ?? readManifest(bytes).mediaType ?? OCI_MANIFEST
      const held = { mediaType, bytes }
      this.#cache.set(digest, held)
      return held
    } catch (error) {
      options.signal.throwIfAborted()
      log.warn({ digest, err: error }, 'a stored manifest could not be read')
      return undefined
    }
  }

  // ----------------------------------------------------------------------------------------------------- outage

  /**
   * A client that was given a manifest takes it as a promise: some do not fall back for what follows. So without the
   * origin an image is answered only when everything it needs on this platform is here.
   */
  async #requireComplete(digest: Digest, held: Held, options: Abortable): Promise<void> {
    if (await this.#isComplete(held, options)) return
    throw new ShoalError('ORIGIN_UNAVAILABLE', 'the origin cannot be asked and the image is not complete here', {
      detail: { digest },
    })
  }

  async #isComplete(held: Held, options: Abortable): Promise<boolean> {
    const contents = readManifest(held.bytes)
    if (!contents.blobs.every((blob) => this.#components.hasBlob(blob))) return false
    const { os, architecture } = this.#init.platform
    const fitting = contents.manifests.filter(
      (child) => child.platform?.os === os && child.platform.architecture === architecture,
    )
    const candidates = fitting.length > 0 ? fitting : contents.manifests
    if (candidates.length === 0) return true
    for (const child of candidates) {
      const inner = this.#cache.get(child.digest) ?? (await this.#fromStore(child.digest, options))
      if (inner !== undefined && (await this.#isComplete(inner, options))) return true
    }
    return false
  }
}

function answer(digest: Digest, held: Held): ManifestAnswer {
  return { digest, mediaType: held.mediaType, size: held.bytes.length, bytes: held.bytes, stale: undefined }
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
