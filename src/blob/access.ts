/**
 * Who may have what (DESIGN.md §10): content that is here is given only to requests that the origin would allow now.
 *
 * An origin admits to repositories, so its answer is remembered by repository and identity. Which digests it served in a
 * repository is remembered too; any other one is asked for. And no registry is believed about bytes that it never had to
 * send: else anybody's registry could say "yes" to content of another one.
 */
import { isOutage, ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { SingleFlight } from '../util/single-flight.ts'
import type { Outages } from './outages.ts'
import type { Abortable, Identity, Origin, RepositoryIndex, Scope } from './ports.ts'

export interface AccessComponents {
  readonly origin: Origin
  readonly repositories: RepositoryIndex
  readonly outages: Outages
  readonly clock: Clock
  readonly log: Logger
}

export interface AccessInit {
  /** How long an admission by the origin holds without asking again. */
  readonly rememberMs: number
  /** How old an admission may be that stands in when the origin cannot be asked. */
  readonly outageMs: number
  /** Registries that the operator named: their word counts for any content. */
  readonly trusted: ReadonlySet<string>
}

/** Who asks. The identity is taken before the origin is asked: the agent's credentials may be others afterwards. */
export interface Principal {
  readonly scope: Scope
  readonly identity: Identity
}

/** `outage`: the origin could not be asked, an earlier admission stands in. */
export type Admission = 'fresh' | 'outage'

export class Access {
  readonly #components: AccessComponents
  readonly #init: AccessInit
  readonly #asking = new SingleFlight<void>()

  constructor(components: AccessComponents, init: AccessInit) {
    this.#components = components
    this.#init = init
  }

  /** @throws ShoalError REGISTRY_NOT_ALLOWED */
  principal(scope: Scope): Principal {
    return { scope, identity: this.#components.origin.identity(scope) }
  }

  /** Whether the registry's word about this content counts: it is trusted, or has sent these very bytes. */
  mayVouch(registry: string, digest: Digest): boolean {
    return this.#init.trusted.has(registry) || this.#components.repositories.isLinked(wholeOf(registry), digest)
  }

  /** Whether the origin served the digest in this repository before. */
  isLinked(repository: Repository, digest: Digest): boolean {
    return this.#components.repositories.isLinked(repository, digest)
  }

  /** Whether the origin is known to allow this, without asking it. */
  isKnown({ scope, identity }: Principal, digest: Digest): boolean {
    const { registry } = scope.repository
    return (
      this.isLinked(scope.repository, digest) &&
      this.#isAdmitted(scope, identity, this.#init.rememberMs) &&
      this.mayVouch(registry, digest)
    )
  }

  /**
   * Asks the origin unless its answer is known. Only for content the registry may vouch for.
   * @throws ShoalError UNAUTHORIZED, DENIED, BLOB_UNKNOWN, MANIFEST_UNKNOWN …; an outage when no earlier answer serves
   */
  async ensure(
    principal: Principal,
    digest: Digest,
    kind: 'blob' | 'manifest',
    { signal }: Abortable,
  ): Promise<Admission> {
    if (this.isKnown(principal, digest)) return 'fresh'
    const { scope, identity } = principal
    const { registry, name } = scope.repository
    const hasStandIn = this.isLinked(scope.repository, digest) && this.isAdmittedInOutage(principal)
    const key = `${kind} ${registry}/${name} ${digest} ${identity.key}`
    try {
      await this.#components.outages.ask(registry, { signal, hasStandIn }, (limited) =>
        this.#asking.run(key, limited.signal, (shared) => this.#ask(scope, digest, kind, { signal: shared })),
      )
      this.answered(principal, digest)
      return 'fresh'
    } catch (error) {
      this.refused(principal, error)
      if (!isOutage(error) || !hasStandIn) throw error
      this.#components.log.debug(
        { registry, repository: name, digest },
        'an earlier admission stands in for the origin',
      )
      return 'outage'
    }
  }

  /** The last admission of this identity is recent enough to stand in for an origin that cannot be asked. */
  isAdmittedInOutage({ scope, identity }: Principal): boolean {
    return this.#isAdmitted(scope, identity, this.#init.outageMs)
  }

  /** The origin has just told this principal that it may have the digest. */
  answered({ scope, identity }: Principal, digest: Digest): void {
    const { repositories, clock } = this.#components
    repositories.link(scope.repository, [digest])
    repositories.recordAdmission(scope.repository, identity.key, clock(), { keep: identity.kind !== 'client' })
  }

  /** The registry has sent all bytes of the digest. */
  served(registry: string, digest: Digest): void {
    this.#components.repositories.link(wholeOf(registry), [digest])
  }

  /** Takes back what is remembered if `error` says that the origin refuses this principal. */
  refused({ scope, identity }: Principal, error: unknown): void {
    if (!(error instanceof ShoalError) || (error.code !== 'UNAUTHORIZED' && error.code !== 'DENIED')) return
    this.#components.repositories.forgetAdmission(scope.repository, identity.key)
  }

  async #ask(scope: Scope, digest: Digest, kind: 'blob' | 'manifest', options: Abortable): Promise<void> {
    if (kind === 'blob') await this.#components.origin.checkBlob(scope, digest, options)
    else await this.#components.origin.checkManifest(scope, digest, options)
  }

  /** What anybody may have, everybody may. */
  #isAdmitted(scope: Scope, identity: Identity, withinMs: number): boolean {
    const { repositories, clock } = this.#components
    const since = clock() - withinMs
    return ['anonymous', identity.key].some(
      (key) => (repositories.admittedAt(scope.repository, key) ?? Number.NEGATIVE_INFINITY) >= since,
    )
  }
}

/** Stands for the registry as a whole in the index of repositories: no repository has an empty name. */
function wholeOf(registry: string): Repository {
  return { registry, name: '' }
}
