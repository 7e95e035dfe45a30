/**
 * Manifests: a tag is resolved by `TagResolver`; bytes come from memory, the store, or peers and the origin at once. What the
 * origin did not confirm just now is answered only when the whole image can be had without it.
 */
import { ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/manifest.ts'
import type { Repository, TagOrDigest } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { type Tracer, traced } from '../util/tracer.ts'
import type { Access, Principal } from './access.ts'
import { Completeness } from './completeness.ts'
import { type Held, ManifestCache } from './manifest-cache.ts'
import { ManifestFetcher } from './manifest-fetcher.ts'
import type { Outages } from './outages.ts'
import type { PeerKnowledge } from './peer-knowledge.ts'
import type { Abortable, BlobStore, ListAnswer, Origin, RepositoryIndex, Scope, Swarm } from './ports.ts'
import { answerReferrers } from './referrers.ts'
import type { ManifestAnswer, ManifestHead, Manifests } from './services.ts'
import type { StatedSizes } from './stated-sizes.ts'
import { TagResolver } from './tag-resolver.ts'

export interface ManifestServiceComponents {
  readonly sizes: StatedSizes
  readonly origin: Origin
  readonly store: BlobStore
  readonly swarm: Pick<Swarm, 'hasPeers' | 'fetchSmall' | 'announce' | 'announceTag'>
  readonly peers: PeerKnowledge
  readonly repositories: RepositoryIndex
  readonly access: Access
  readonly outages: Outages
  /** Whether clients of the repository can have the blob from this host without its origin. */
  readonly isBlobHere: (repository: Repository, digest: Digest) => Promise<boolean>
  readonly clock: Clock
  readonly log: Logger
  readonly tracer: Tracer
}

export interface ManifestServiceInit {
  /** How old the last digest of a tag may be that answers when the origin cannot be asked. */
  readonly outageMs: number
  /** What the clients of this host run: decides which image of an index must be complete in an outage. */
  readonly platform: Platform
  /** By so much peers are asked for bytes before the origin. */
  readonly headStartMs: number
  /** Whether peers are told of tags, and asked in an outage. */
  readonly shareTags: boolean
}

export class ManifestService implements Manifests {
  readonly #components: ManifestServiceComponents
  readonly #cache: ManifestCache
  readonly #fetcher: ManifestFetcher
  readonly #tags: TagResolver
  readonly #completeness: Completeness

  constructor(components: ManifestServiceComponents, init: ManifestServiceInit) {
    const cache = new ManifestCache(components)
    const fetcher = new ManifestFetcher({ ...components, cache }, init)
    const manifest = async (registry: string, digest: Digest, options: Abortable): Promise<Held | undefined> =>
      (await cache.get(registry, digest, options)) ?? (await fetcher.fetchFromPeers(registry, digest, options))
    this.#components = components
    this.#cache = cache
    this.#fetcher = fetcher
    this.#tags = new TagResolver(components, init)
    this.#completeness = new Completeness({ ...components, manifest }, init)
  }

  get(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestAnswer> {
    return this.#traced('get manifest', scope, reference, () => this.#get(scope, reference, options))
  }

  head(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestHead> {
    return this.#traced('resolve manifest', scope, reference, () => this.#head(scope, reference, options))
  }

  async #get(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestAnswer> {
    const principal = this.#components.access.principal(scope)
    if ('digest' in reference) return this.#byDigest(principal, reference.digest, options)
    const resolved = await this.#tags.resolve(principal, reference.tag, options)
    if (resolved.stale === undefined) return this.#byDigest(principal, resolved.digest, options)
    return { ...(await this.#withoutOrigin(principal, resolved.digest, options)), stale: resolved.stale }
  }

  async #head(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestHead> {
    const principal = this.#components.access.principal(scope)
    if ('digest' in reference) return this.#byDigest(principal, reference.digest, options)
    const resolved = await this.#tags.resolve(principal, reference.tag, options)
    if (resolved.stale === undefined) return resolved
    return { ...(await this.#withoutOrigin(principal, resolved.digest, options)), stale: resolved.stale }
  }

  referrers(scope: Scope, digest: Digest, query: URLSearchParams, options: Abortable): Promise<ListAnswer> {
    const { origin } = this.#components
    const getManifest = (tag: string): Promise<ManifestAnswer> => this.get(scope, { tag }, options)
    return answerReferrers({ origin, getManifest }, scope, digest, query, options)
  }

  /** Resolves when what was fetched is stored. */
  async stop(): Promise<void> {
    await this.#cache.stop()
  }

  #traced<T extends ManifestHead>(
    name: string,
    { repository }: Scope,
    reference: TagOrDigest,
    work: () => Promise<T>,
  ): Promise<T> {
    const asked = 'digest' in reference ? { 'shoal.digest': reference.digest } : { 'shoal.tag': reference.tag }
    const attributes = { 'shoal.registry': repository.registry, 'shoal.repository': repository.name, ...asked }
    return traced(this.#components.tracer, name, attributes, async (span) => {
      const answer = await work()
      span.set({ 'shoal.digest': answer.digest, 'shoal.stale': answer.stale !== undefined })
      return answer
    })
  }

  async #byDigest(principal: Principal, digest: Digest, options: Abortable): Promise<ManifestAnswer> {
    const { access } = this.#components
    const { repository } = principal.scope
    const cached = await this.#cache.get(repository.registry, digest, options)
    const { held, admission } =
      cached === undefined
        ? await this.#fetcher.fetch(principal, digest, options)
        : { held: cached, admission: await access.ensure(principal, digest, 'manifest', options) }
    if (admission === 'outage') await this.#requireComplete(repository, digest, held, options)
    return answer(digest, held)
  }

  /** For a principal that a stale tag has led here: it was admitted, and the origin cannot be asked. */
  async #withoutOrigin({ scope }: Principal, digest: Digest, options: Abortable): Promise<ManifestAnswer> {
    const { registry } = scope.repository
    const held =
      (await this.#cache.get(registry, digest, options)) ??
      (await this.#fetcher.fetchFromPeers(registry, digest, options))
    if (held === undefined) throw incomplete(digest)
    await this.#requireComplete(scope.repository, digest, held, options)
    return answer(digest, held)
  }

  async #requireComplete(repository: Repository, digest: Digest, held: Held, options: Abortable): Promise<void> {
    if (!(await this.#completeness.check(repository, held, options))) throw incomplete(digest)
  }
}

function incomplete(digest: Digest): ShoalError {
  return new ShoalError('ORIGIN_UNAVAILABLE', 'the origin cannot be asked and the image cannot be had without it', {
    detail: { digest },
  })
}

function answer(digest: Digest, held: Held): ManifestAnswer {
  return { digest, mediaType: held.mediaType, size: held.bytes.length, bytes: held.bytes, stale: undefined }
}
