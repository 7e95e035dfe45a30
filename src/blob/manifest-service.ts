/**
 * Manifests: tags are resolved at the origin each time; bytes come from memory, the store or the origin, in this order.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { hasCode, isOutage, ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestOf } from '../oci/digest.ts'
import { type Platform, readManifest } from '../oci/manifest.ts'
import { OCI_MANIFEST } from '../oci/media-type.ts'
import type { Repository, TagOrDigest } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { SingleFlight } from '../util/single-flight.ts'
import type { Access, Principal } from './access.ts'
import type { Outages } from './outages.ts'
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
  readonly outages: Outages
  /** Whether clients of the repository can have the blob without its origin. */
  readonly isBlobHere: (repository: Repository, digest: Digest) => Promise<boolean>
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
  /** By registry too: it is the registry that says of what media type the bytes are. */
  readonly #cache = new LRUCache<string, Held>({
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
    const principal = this.#components.access.principal(scope)
    if ('digest' in reference) return this.#byDigest(principal, reference.digest, options)
    const resolved = await this.#resolve(principal, reference.tag, options)
    if (resolved.stale === undefined) return this.#byDigest(principal, resolved.digest, options)
    return { ...(await this.#withoutOrigin(principal, resolved.digest, options)), stale: resolved.stale }
  }

  async head(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestHead> {
    const principal = this.#components.access.principal(scope)
    if ('digest' in reference) return this.#byDigest(principal, reference.digest, options)
    const resolved = await this.#resolve(principal, reference.tag, options)
    if (resolved.stale !== undefined) await this.#withoutOrigin(principal, resolved.digest, options)
    return resolved
  }

  referrers(scope: Scope, digest: Digest, query: URLSearchParams, options: Abortable): Promise<ListAnswer> {
    const { origin } = this.#components
    const getManifest = (tag: string): Promise<ManifestAnswer> => this.get(scope, { tag }, options)
    return answerReferrers({ origin, getManifest }, scope, digest, query, options)
  }

  /** Resolves when what was fetched is stored. */
  async stop(): Promise<void> {
    await Promise.all(this.#writing)
  }

  // ------------------------------------------------------------------------------------------------------- tags

  async #resolve(principal: Principal, tag: string, { signal }: Abortable): Promise<Resolved> {
    const { origin, repositories, access, outages, clock, log } = this.#components
    const { scope, identity } = principal
    const { registry, name } = scope.repository
    const remembered = this.#remembered(principal, tag)
    try {
      const found = await outages.ask(registry, { signal, hasStandIn: remembered !== undefined }, (limited) =>
        this.#resolving.run(`${registry}/${name}:${tag} ${identity.key}`, limited.signal, (shared) =>
          origin.resolveTag(scope, tag, { signal: shared }),
        ),
      )
      access.answered(principal, found.digest)
      repositories.recordTag(scope.repository, tag, { ...found, at: clock() })
      return { ...found, stale: undefined }
    } catch (error) {
      access.refused(principal, error)
      if (hasCode(error, 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN')) repositories.forgetTag(scope.repository, tag)
      if (!isOutage(error) || remembered === undefined) throw error
      const { digest, stale } = remembered
      const fields = { registry, repository: name, tag, digest, ageSeconds: stale?.ageSeconds, err: error }
      log.warn(fields, 'the origin cannot be asked for a tag, its last digest answers')
      return remembered
    }
  }

  #remembered(principal: Principal, tag: string): Resolved | undefined {
    const { repositories, access, clock } = this.#components
    const seen = repositories.tag(principal.scope.repository, tag)
    if (seen === undefined || !access.isAdmittedInOutage(principal)) return undefined
    const ageMs = clock() - seen.at
    if (ageMs > this.#init.outageMs) return undefined
    const { digest, mediaType, size } = seen
    return { digest, mediaType, size, stale: { ageSeconds: Math.max(0, Math.round(ageMs / 1000)) } }
  }

  // -------------------------------------------------------------------------------------------------- by digest

  async #byDigest(principal: Principal, digest: Digest, options: Abortable): Promise<ManifestAnswer> {
    const { access } = this.#components
    const { repository } = principal.scope
    const held = await this.#held(repository.registry, digest, options)
    if (held === undefined) return answer(digest, await this.#fromOrigin(principal, digest, options))
    const isKnown = access.isKnown(principal, digest)
    const admission = isKnown ? 'fresh' : await access.ensure(principal, digest, 'manifest', options)
    if (admission === 'outage') await this.#requireComplete(repository, digest, held, options)
    return answer(digest, held)
  }

  /** For a principal that a stale tag has led here: it was admitted, and the origin cannot be asked. */
  async #withoutOrigin({ scope }: Principal, digest: Digest, options: Abortable): Promise<ManifestAnswer> {
    const { repository } = scope
    const held = await this.#held(repository.registry, digest, options)
    if (held === undefined) throw incomplete(digest)
    await this.#requireComplete(repository, digest, held, options)
    return answer(digest, held)
  }

  /** What is here and the registry may vouch for. */
  async #held(registry: string, digest: Digest, options: Abortable): Promise<Held | undefined> {
    const cached = this.#cache.get(cacheKey(registry, digest))
    if (cached !== undefined) return cached
    return this.#components.access.mayVouch(registry, digest) ? this.#fromStore(registry, digest, options) : undefined
  }

  async #fromOrigin(principal: Principal, digest: Digest, { signal }: Abortable): Promise<Held> {
    const { origin, access, repositories } = this.#components
    const { scope, identity } = principal
    const { registry, name } = scope.repository
    try {
      const held = await this.#fetching.run(`${registry}/${name} ${digest} ${identity.key}`, signal, async (shared) => {
        const fetched = await origin.fetchManifest(scope, digest, { signal: shared })
        this.#storeInBackground(fetched)
        repositories.recordMediaType(registry, digest, fetched.mediaType)
        return fetched
      })
      this.#cache.set(cacheKey(registry, digest), held)
      access.served(registry, digest)
      access.answered(principal, digest)
      return held
    } catch (error) {
      access.refused(principal, error)
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

  async #fromStore(registry: string, digest: Digest, options: Abortable): Promise<Held | undefined> {
    const { store, repositories, log } = this.#components
    const stored = store.stat(digest)
    if (stored === undefined || stored.size > MAX_MANIFEST_BYTES) return undefined
    try {
      const bytes = await readAll(store, digest, options)
      const found = digestOf(digestAlgorithm(digest), createHash(digestAlgorithm(digest)).update(bytes).digest('hex'))
      if (found !== digest) throw new ShoalError('DIGEST_MISMATCH', 'the stored manifest is damaged')
      const mediaType = repositories.mediaType(registry, digest) ?? readManifest(bytes).mediaType ?? OCI_MANIFEST
      const held = { mediaType, bytes }
      this.#cache.set(cacheKey(registry, digest), held)
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
  async #requireComplete(repository: Repository, digest: Digest, held: Held, options: Abortable): Promise<void> {
    if (!(await this.#isComplete(repository, held, options))) throw incomplete(digest)
  }

  async #isComplete(repository: Repository, held: Held, options: Abortable): Promise<boolean> {
    const contents = readManifest(held.bytes)
    for (const blob of contents.blobs) if (!(await this.#components.isBlobHere(repository, blob))) return false
    const { os, architecture } = this.#init.platform
    const fitting = contents.manifests.filter(
      (child) => child.platform?.os === os && child.platform.architecture === architecture,
    )
    const candidates = fitting.length > 0 ? fitting : contents.manifests
    if (candidates.length === 0) return true
    for (const child of candidates) {
      const inner = await this.#held(repository.registry, child.digest, options)
      if (inner !== undefined && (await this.#isComplete(repository, inner, options))) return true
    }
    return false
  }
}

function cacheKey(registry: string, digest: Digest): string {
  return `${registry} ${digest}`
}

function incomplete(digest: Digest): ShoalError {
  return new ShoalError('ORIGIN_UNAVAILABLE', 'the origin cannot be asked and the image is not complete here', {
    detail: { digest },
  })
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
