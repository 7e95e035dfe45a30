import { createHmac, randomBytes } from 'node:crypto'
import type { LookupFunction } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type {
  Abortable,
  ChunkSource,
  Descriptor,
  Identity,
  ListAnswer,
  ManifestBytes,
  Origin,
  OriginOptions,
  Scope,
} from '../blob/ports.ts'
import type { Digest } from '../oci/digest.ts'
import { MANIFEST_ACCEPT, OCI_INDEX } from '../oci/media-type.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { TokenBucket } from '../util/token-bucket.ts'
import { noTracer, type Tracer } from '../util/tracer.ts'
import { AddressGuard, guardLookup } from './address-guard.ts'
import { BlobSource } from './blob-source.ts'
import { discard, readBounded } from './bounded-body.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import type { Credentials } from './credentials.ts'
import { contentLength, type HttpAnswer, header } from './http-exchange.ts'
import { mediaTypeOf, readManifest, readManifestHead } from './manifest-answer.ts'
import type { OriginLimits } from './origin-defaults.ts'
import { OriginFailure } from './origin-failure.ts'
import { noOriginMetrics, type OriginMetrics } from './origin-metrics.ts'
import { OriginPool } from './origin-pool.ts'
import { RegistryEndpoints, type RegistrySettings } from './registry-endpoint.ts'
import { type RegistryQuestion, RegistryRequester, type RegistryScope } from './registry-requester.ts'
import { SharedAccounts } from './shared-account.ts'

const MAX_LIST_BYTES = 16 * 1024 * 1024
const JSON_ACCEPT = 'application/json'
/** Answers of origins to a method or an API that they do not know. */
const NOT_SUPPORTED = new Set([400, 404, 405, 410, 501])

/** What may change while the client is in use. */
export interface OriginSettings {
  /** By `host[:port]`, as `parseRegistry` gives it. What stands here is exempt from the address guard. */
  readonly registries: ReadonlyMap<string, RegistrySettings>
  /** Globs over registries that may be asked. */
  readonly allow: readonly string[]
  /** Over all blobs from all origins; undefined: no limit. */
  readonly rateBytesPerSecond: number | undefined
  /** The same on every agent of the swarm and known to them only; undefined: identities are this agent's own affair. */
  readonly identityKey: Uint8Array | undefined
}

export interface OriginClientInit extends OriginLimits, OriginSettings {
  readonly userAgent: string
  /** Sent as `Shoal-Via`: an agent that sees its own is about to ask itself. */
  readonly instanceId: string
}

/** Upstream registries over HTTP. Create one per agent, and close it. */
export class OriginClient implements Origin {
  readonly #endpoints: RegistryEndpoints
  readonly #credentials: Credentials
  readonly #pool: OriginPool
  readonly #requester: RegistryRequester
  readonly #bucket: TokenBucket
  readonly #guard: AddressGuard
  readonly #init: OriginClientInit
  readonly #clientKey = randomBytes(32)
  #identityKey: Uint8Array | undefined
  #sharedAccounts: SharedAccounts | undefined

  /** @param components.lookup another way to resolve names, for tests */
  constructor(
    components: {
      log: Logger
      clock: Clock
      credentials: Credentials
      metrics?: OriginMetrics
      tracer?: Tracer
      lookup?: LookupFunction
    },
    init: OriginClientInit,
  ) {
    const endpoints = new RegistryEndpoints(init)
    const guard = new AddressGuard({ exempt: endpoints.named() })
    const pool = new OriginPool({ endpoints, guard, lookup: guardLookup(components.lookup) }, init)
    const breaker = new CircuitBreaker(components, { openMs: init.outageMs })
    this.#endpoints = endpoints
    this.#credentials = components.credentials
    this.#pool = pool
    this.#requester = new RegistryRequester(
      {
        ...components,
        endpoints,
        guard,
        pool,
        breaker,
        metrics: components.metrics ?? noOriginMetrics,
        tracer: components.tracer ?? noTracer,
      },
      {
        tries: init.tries,
        backoff: init.backoff,
        windowMs: init.retryWindowMs,
        questionMs: init.firstByteMs + init.stallMs,
      },
    )
    this.#guard = guard
    this.#bucket = new TokenBucket(components, { bytesPerSecond: init.rateBytesPerSecond })
    this.#identityKey = init.identityKey
    this.#sharedAccounts = init.identityKey && new SharedAccounts({ key: init.identityKey })
    this.#init = init
  }

  /** What may change while it is in use. Requests that run go on as they began. */
  configure(settings: OriginSettings): void {
    const { registries, allow, rateBytesPerSecond, identityKey } = settings
    this.#bucket.setRate(rateBytesPerSecond)
    if (!isDeepStrictEqual(identityKey, this.#identityKey)) {
      this.#identityKey = identityKey
      this.#sharedAccounts = identityKey && new SharedAccounts({ key: identityKey })
    }
    if (!this.#endpoints.configure({ registries, allow })) return
    this.#guard.exempt = this.#endpoints.named()
    this.#pool.forget()
  }

  identity({ repository, authorization }: Scope): Identity {
    const { registry } = repository
    this.#endpoints.of(registry)
    if (authorization !== undefined) {
      const mac = createHmac('sha256', this.#clientKey).update(authorization).digest('hex')
      return { key: `client:${mac}`, kind: 'client' }
    }
    const certain = this.#sharedAccounts && this.#credentials.certain(registry)
    if (this.#sharedAccounts !== undefined && certain !== undefined) {
      return { key: `agent-shared:${this.#sharedAccounts.name(registry, certain)}`, kind: 'agent-shared' }
    }
    const account = this.#credentials.account(registry)
    return account === undefined ? { key: 'anonymous', kind: 'anonymous' } : { key: `agent:${account}`, kind: 'agent' }
  }

  hasLiveMirror({ repository: { registry }, authorization }: Scope): boolean {
    return this.#requester.hasLiveMirror({ registry, authorization })
  }

  async resolveTag(scope: Scope, tag: string, options: OriginOptions): Promise<Descriptor> {
    const question = manifestQuestion(scope, tag, MANIFEST_ACCEPT)
    const head = await this.#ask(scope, { ...question, method: 'HEAD' }, readManifestHead, options).catch((error) => {
      if (error instanceof OriginFailure && error.status !== 404 && NOT_SUPPORTED.has(error.status ?? 0))
        return undefined
      throw error
    })
    if (head !== undefined) return head
    const read = (answer: HttpAnswer): Promise<ManifestBytes> =>
      readManifest(scope.repository.registry, answer, undefined)
    const { digest, mediaType, bytes } = await this.#ask(scope, question, read, options)
    return { digest, mediaType, size: bytes.length }
  }

  async fetchManifest(scope: Scope, digest: Digest, options: Abortable): Promise<ManifestBytes> {
    const question = manifestQuestion(scope, digest, `${MANIFEST_ACCEPT}, */*`)
    const read = (answer: HttpAnswer): Promise<ManifestBytes> => readManifest(scope.repository.registry, answer, digest)
    return await this.#ask(scope, question, read, options)
  }

  async checkManifest(scope: Scope, digest: Digest, options: OriginOptions): Promise<string | undefined> {
    const question = manifestQuestion(scope, digest, `${MANIFEST_ACCEPT}, */*`)
    const read = (answer: HttpAnswer): string | undefined => {
      discard(answer)
      return mediaTypeOf(answer)
    }
    return await this.#ask(scope, { ...question, method: 'HEAD' }, read, options)
  }

  async checkBlob(scope: Scope, digest: Digest, options: OriginOptions): Promise<number | undefined> {
    const path = `${scope.repository.name}/blobs/${digest}`
    const question = { method: 'HEAD', path, headers: {}, asked: 'blob', traffic: 'questions' } as const
    const read = (answer: HttpAnswer): number | undefined => {
      discard(answer)
      return contentLength(answer)
    }
    return await this.#ask(scope, question, read, options).catch((error) => {
      // The registry has let this one in; its storage only knows GET.
      if (error instanceof OriginFailure && error.refusedElsewhere) return undefined
      throw error
    })
  }

  blobSource(scope: Scope, digest: Digest, options = { mirrorsLast: false }): ChunkSource {
    const { resumeTries, resumeBackoff } = this.#init
    return new BlobSource(
      { requester: this.#requester, bucket: this.#bucket, askSize: (asked) => this.checkBlob(scope, digest, asked) },
      {
        scope: { ...toRegistryScope(scope), mirrorsLast: options.mirrorsLast },
        name: scope.repository.name,
        digest,
        resumeTries,
        resumeBackoff,
      },
    )
  }

  async listTags(scope: Scope, query: string, options: Abortable): Promise<ListAnswer> {
    return await this.#list(toRegistryScope(scope), `${scope.repository.name}/tags/list`, query, JSON_ACCEPT, options)
  }

  async listCatalog(
    { registry, authorization }: { registry: string; authorization: string | undefined },
    query: string,
    options: Abortable,
  ): Promise<ListAnswer> {
    const scope = { registry, authorization, access: 'registry:catalog:*' }
    return await this.#list(scope, '_catalog', query, JSON_ACCEPT, options)
  }

  async listReferrers(
    scope: Scope,
    digest: Digest,
    query: string,
    options: Abortable,
  ): Promise<ListAnswer | undefined> {
    const path = `${scope.repository.name}/referrers/${digest}`
    try {
      const answer = await this.#list(toRegistryScope(scope), path, query, OCI_INDEX, options)
      return answer.contentType?.split(';')[0]?.trim() === OCI_INDEX ? answer : undefined
    } catch (error) {
      if (error instanceof OriginFailure && NOT_SUPPORTED.has(error.status ?? 0)) return undefined
      throw error
    }
  }

  /** Ends all connections; what still runs fails. */
  async close(): Promise<void> {
    await this.#pool.close()
  }

  async #ask<T>(
    scope: Scope,
    question: RegistryQuestion,
    consume: (answer: HttpAnswer) => T | Promise<T>,
    options: OriginOptions,
  ): Promise<T> {
    return await this.#requester.ask(toRegistryScope(scope), question, consume, options)
  }

  async #list(
    scope: RegistryScope,
    path: string,
    query: string,
    accept: string,
    options: Abortable,
  ): Promise<ListAnswer> {
    const question = { method: 'GET', path, query, headers: { accept }, asked: 'name', traffic: 'questions' } as const
    const read = async (answer: HttpAnswer): Promise<ListAnswer> => ({
      contentType: header(answer, 'content-type'),
      link: header(answer, 'link'),
      filtersApplied: header(answer, 'oci-filters-applied'),
      body: await readBounded(scope.registry, answer, MAX_LIST_BYTES),
    })
    return await this.#requester.ask(scope, question, read, options)
  }
}

function manifestQuestion({ repository }: Scope, reference: string, accept: string): RegistryQuestion {
  const path = `${repository.name}/manifests/${reference}`
  return { method: 'GET', path, headers: { accept }, asked: 'manifest', traffic: 'questions' }
}

function toRegistryScope({ repository, authorization }: Scope): RegistryScope {
  return { registry: repository.registry, authorization, access: `repository:${repository.name}:pull` }
}
