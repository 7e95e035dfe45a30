/**
 * Who may have what (DESIGN.md §10): content of the store is given only to requests that the origin would allow now.
 * An origin admits to repositories, so its answer is remembered by repository and identity; which repository a digest
 * belongs to is remembered too, and a digest that was never seen in the repository is asked for.
 */
import { isOutage, ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { SingleFlight } from '../util/single-flight.ts'
import type { Abortable, Identity, Origin, RepositoryIndex, Scope } from './ports.ts'

export interface AccessInit {
  /** How long an admission by the origin holds without asking again. */
  readonly rememberMs: number
  /** How old an admission may be that stands in when the origin cannot be asked. */
  readonly outageMs: number
}

/** `outage`: the origin could not be asked, an earlier admission stands in. */
export type Admission = 'fresh' | 'outage'

export class Access {
  readonly #components: { origin: Origin; repositories: RepositoryIndex; clock: Clock; log: Logger }
  readonly #init: AccessInit
  readonly #asking = new SingleFlight<void>()

  constructor(
    components: { origin: Origin; repositories: RepositoryIndex; clock: Clock; log: Logger },
    init: AccessInit,
  ) {
    this.#components = components
    this.#init = init
  }

  /** Whether the origin is known to allow this, without asking it. */
  isKnown(scope: Scope, digest: Digest): boolean {
    const { origin, repositories } = this.#components
    return (
      repositories.isLinked(scope.repository, digest) &&
      this.#isAdmitted(scope, origin.identity(scope), this.#init.rememberMs)
    )
  }

  /**
   * Asks the origin unless its answer is known.
   * @throws ShoalError UNAUTHORIZED, DENIED, BLOB_UNKNOWN, MANIFEST_UNKNOWN …; an outage when no earlier answer serves
   */
  async ensure(scope: Scope, digest: Digest, kind: 'blob' | 'manifest', { signal }: Abortable): Promise<Admission> {
    if (this.isKnown(scope, digest)) return 'fresh'
    const identity = this.#components.origin.identity(scope)
    const { registry, name } = scope.repository
    const key = `${kind} ${registry}/${name} ${digest} ${identity.key}`
    try {
      await this.#asking.run(key, signal, (shared) => this.#ask(scope, digest, kind, { signal: shared }))
      this.admitted(scope, [digest])
      return 'fresh'
    } catch (error) {
      this.refused(scope, error)
      if (isOutage(error) && this.#isAllowedInOutage(scope, digest, identity)) return 'outage'
      throw error
    }
  }

  /** The last admission of this identity is recent enough to stand in for an origin that cannot be asked. */
  isAdmittedInOutage(scope: Scope): boolean {
    return this.#isAdmitted(scope, this.#components.origin.identity(scope), this.#init.outageMs)
  }

  /** The origin has just served these digests to this scope. */
  admitted(scope: Scope, digests: readonly Digest[]): void {
    const { origin, repositories, clock } = this.#components
    const identity = origin.identity(scope)
    repositories.link(scope.repository, digests)
    repositories.recordAdmission(scope.repository, identity.key, clock(), { keep: identity.kind !== 'client' })
  }

  /** Takes back what is remembered if `error` says that the origin refuses this scope. */
  refused(scope: Scope, error: unknown): void {
    if (!(error instanceof ShoalError) || (error.code !== 'UNAUTHORIZED' && error.code !== 'DENIED')) return
    const { origin, repositories } = this.#components
    repositories.forgetAdmission(scope.repository, origin.identity(scope).key)
  }

  async #ask(scope: Scope, digest: Digest, kind: 'blob' | 'manifest', options: Abortable): Promise<void> {
    if (kind === 'blob') await this.#components.origin.checkBlob(scope, digest, options)
    else await this.#components.origin.checkManifest(scope, digest, options)
  }

  #isAllowedInOutage(scope: Scope, digest: Digest, identity: Identity): boolean {
    const { repositories, log } = this.#components
    if (!repositories.isLinked(scope.repository, digest)) return false
    if (!this.#isAdmitted(scope, identity, this.#init.outageMs)) return false
    log.debug({ ...scope.repository, digest }, 'the origin cannot be asked, an earlier admission stands in')
    return true
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
