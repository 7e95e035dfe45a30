/**
 * Who may have what (DESIGN.md §10): content that is here is given only to requests that the origin would allow now.
 *
 * An origin admits to repositories, so its answer is remembered by repository and identity. Which digests it served in a
 * repository is remembered too; any other one is asked for. And no registry is believed about bytes that it never had to
 * send: else anybody's registry could say "yes" to content of another one.
 *
 * Only when the origin cannot be asked, its earlier word stands in: what this agent remembers, else what other agents of the
 * swarm say that they remember. Members hold the content themselves and are believed about three things, and never told on:
 * - that the origin admitted nobody in particular, or an agent with these very credentials, to the repository: not longer
 *   ago than `outageMs`, nor before the origin refused the same here. About credentials of clients nobody is asked;
 * - that the origin had a digest in the repository: by name, or as what a tag pointed to;
 * - and with a manifest that is in the repository by the origin's or a member's word, what it lists is there too: registries take
 *   manifests only with their content. What a manifest says to be had elsewhere (`urls`) they do not check, so it does not count.
 * So in an outage a client gets at most what the origin gave to its like before. A member that lies can open content to
 * clients which that member could have handed to them itself.
 */
import { isOutage, ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { raceAbort } from '../util/race-abort.ts'
import { SingleFlight } from '../util/single-flight.ts'
import type { Outages } from './outages.ts'
import type { PeerKnowledge } from './peer-knowledge.ts'
import { PeersWord } from './peers-word.ts'
import type { Abortable, Identity, Origin, OriginOptions, RepositoryIndex, Scope } from './ports.ts'

export interface AccessComponents {
  readonly origin: Origin
  readonly repositories: RepositoryIndex
  readonly outages: Outages
  readonly peers: PeerKnowledge
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

export interface EnsureOptions extends Abortable {
  /** A request for the content itself that is under way: its answer tells as much as a question of its own. */
  readonly proof?: Promise<unknown> | undefined
}

/** `outage`: the origin could not be asked, an earlier admission stands in. */
export type Admission = 'fresh' | 'outage'

export class Access {
  readonly #components: AccessComponents
  readonly #init: AccessInit
  readonly #asking = new SingleFlight<void>()
  readonly #peersWord: PeersWord

  constructor(components: AccessComponents, init: AccessInit) {
    this.#components = components
    this.#init = init
    this.#peersWord = new PeersWord(components)
  }

  /** @throws ShoalError REGISTRY_NOT_ALLOWED */
  principal(scope: Scope): Principal {
    return { scope, identity: this.#components.origin.identity(scope) }
  }

  /** Whether the registry's word about this content counts: it is trusted, or has sent these very bytes. */
  mayVouch(registry: string, digest: Digest): boolean {
    return this.#init.trusted.has(registry) || this.#components.repositories.isLinked(wholeOf(registry), digest)
  }

  /** Whether the digest is in this repository, as far as is known when the origin cannot be asked. */
  isLinked(repository: Repository, digest: Digest): boolean {
    return this.#components.repositories.isLinked(repository, digest) || this.#peersWord.isLinked(repository, digest)
  }

  /** For an outage: peers say so, or a manifest lists it that is in the repository. */
  linkInOutage(repository: Repository, digests: readonly Digest[]): void {
    this.#peersWord.link(repository, digests)
  }

  /** Whether the origin is known to allow this, without asking it. */
  isKnown({ scope, identity }: Principal, digest: Digest): boolean {
    const { registry } = scope.repository
    return (
      this.#components.repositories.isLinked(scope.repository, digest) &&
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
    { signal, proof }: EnsureOptions,
  ): Promise<Admission> {
    if (this.isKnown(principal, digest)) return 'fresh'
    const { scope, identity } = principal
    const { registry, name } = scope.repository
    const hasStandIn = this.isLinked(scope.repository, digest) && this.isAdmittedInOutage(principal)
    const findStandIn = (asked: Abortable): Promise<boolean> => this.#findStandIn(principal, digest, asked)
    const key = `${kind} ${registry}/${name} ${digest} ${identity.key}`
    const askOrigin = ({ signal: limited, mirrorsOnly = false }: OriginOptions): Promise<void> =>
      this.#asking.run(`${key} ${mirrorsOnly}`, limited, (shared) =>
        this.#ask(scope, digest, kind, { signal: shared, mirrorsOnly }),
      )
    try {
      await this.#components.outages.ask<unknown>(scope, { signal, hasStandIn, findStandIn }, (limited) =>
        // The proof may wait for the registry itself.
        proof === undefined || limited.mirrorsOnly === true ? askOrigin(limited) : raceAbort(proof, limited.signal),
      )
      this.answered(principal, digest)
      return 'fresh'
    } catch (error) {
      this.refused(principal, error)
      if (!isOutage(error) || !(hasStandIn || (await findStandIn({ signal })))) throw error
      this.#components.log.debug(
        { registry, repository: name, digest },
        'an earlier admission stands in for the origin',
      )
      return 'outage'
    }
  }

  /** The last admission of this identity is recent enough to stand in for an origin that cannot be asked. */
  isAdmittedInOutage({ scope, identity }: Principal): boolean {
    return this.#isAdmitted(scope, identity, this.#init.outageMs) || this.#isAdmittedByPeers(scope, identity)
  }

  /** Asks peers when they last saw this identity, or nobody's, admitted. @returns whether that can stand in now */
  async findAdmission(principal: Principal, options: Abortable): Promise<boolean> {
    if (!this.isAdmittedInOutage(principal)) {
      await this.#peersWord.findAdmission(principal.scope.repository, principal.identity, options)
    }
    return this.isAdmittedInOutage(principal)
  }

  /** The origin has just told this principal that it may have the digest. */
  answered({ scope, identity }: Principal, digest: Digest): void {
    const { repositories, clock } = this.#components
    repositories.link(scope.repository, [digest])
    repositories.recordAdmission(scope.repository, identity.key, clock(), { keep: identity.kind !== 'client' })
  }

  /** Of a manifest, as the registry stated it beside the content: worth less than what came with the bytes. */
  heardMediaType(registry: string, digest: Digest, mediaType: string | undefined): void {
    const { repositories } = this.#components
    if (mediaType === undefined || repositories.mediaType(registry, digest) !== undefined) return
    repositories.recordMediaType(registry, digest, mediaType)
  }

  /** The registry has sent all bytes of the digest. */
  served(registry: string, digest: Digest): void {
    this.#components.repositories.link(wholeOf(registry), [digest])
  }

  /** Takes back what is remembered if `error` says that the origin refuses this principal. */
  refused({ scope, identity }: Principal, error: unknown): void {
    if (!(error instanceof ShoalError) || (error.code !== 'UNAUTHORIZED' && error.code !== 'DENIED')) return
    this.#components.repositories.forgetAdmission(scope.repository, identity.key)
    this.#peersWord.refused(scope.repository, identity.key)
  }

  async #findStandIn(principal: Principal, digest: Digest, options: Abortable): Promise<boolean> {
    const { repository } = principal.scope
    const linking = this.isLinked(repository, digest)
      ? undefined
      : this.#peersWord.findLink(repository, digest, options)
    const [isAdmitted] = await Promise.all([this.findAdmission(principal, options), linking])
    return isAdmitted && this.isLinked(repository, digest)
  }

  async #ask(scope: Scope, digest: Digest, kind: 'blob' | 'manifest', options: OriginOptions): Promise<void> {
    const { origin } = this.#components
    if (kind === 'blob') return void (await origin.checkBlob(scope, digest, options))
    this.heardMediaType(scope.repository.registry, digest, await origin.checkManifest(scope, digest, options))
  }

  #isAdmitted({ repository }: Scope, identity: Identity, withinMs: number): boolean {
    const { repositories } = this.#components
    return this.#isSince(withinMs, identity, (key) => repositories.admittedAt(repository, key))
  }

  #isAdmittedByPeers({ repository }: Scope, identity: Identity): boolean {
    return this.#isSince(this.#init.outageMs, identity, (key) => this.#peersWord.admittedAt(repository, key))
  }

  /** What anybody may have, everybody may. */
  #isSince(withinMs: number, identity: Identity, admittedAt: (key: string) => number | undefined): boolean {
    const since = this.#components.clock() - withinMs
    return ['anonymous', identity.key].some((key) => (admittedAt(key) ?? Number.NEGATIVE_INFINITY) >= since)
  }
}

/** Stands for the registry as a whole in the index of repositories: no repository has an empty name. */
function wholeOf(registry: string): Repository {
  return { registry, name: '' }
}
