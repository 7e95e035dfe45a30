/**
 * Tags: resolved at the origin each time. When that cannot be asked, the newest that is known answers, marked stale: what this
 * agent saw there last, or what peers say that they saw. Owns which tags the origin said are gone. Called by
 * ManifestService.
 *
 * A peer's record is signed by the agent that saw the tag, and is believed as far as this goes: a member of the swarm that lies can,
 * while the origin is out, lead clients to another image of the same registry, which they may not even be admitted to elsewhere;
 * never to bytes of another digest, never beyond `outageMs`, and not after the origin has answered again. An old record loses
 * to every newer one, one from the future does not count. Without `shareTags` nobody is asked or told.
 */

import { hasCode, isOutage } from '../errors.ts'
import type { Repository } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { linkSignals } from '../util/signals.ts'
import { SingleFlight } from '../util/single-flight.ts'
import type { Access, Principal } from './access.ts'
import type { Outages } from './outages.ts'
import type { PeerKnowledge } from './peer-knowledge.ts'
import { isFromFuture } from './peers-clock.ts'
import type { Abortable, Descriptor, Origin, OriginOptions, RepositoryIndex, SeenTag, Swarm } from './ports.ts'
import type { Stale } from './services.ts'

/** So long peers are waited for when there is an answer already: one that is not much older does no harm. */
const GRACE_MS = 250
const MAX_GONE = 10_000

export interface TagResolverComponents {
  readonly origin: Pick<Origin, 'resolveTag'>
  readonly repositories: RepositoryIndex
  readonly access: Access
  readonly outages: Outages
  readonly peers: PeerKnowledge
  readonly swarm: Pick<Swarm, 'announceTag'>
  readonly clock: Clock
  readonly log: Logger
}

export interface TagResolverInit {
  /** How old the last digest of a tag may be that answers when the origin cannot be asked. */
  readonly outageMs: number
  /** Whether peers are told what this agent saw, and are asked in an outage. */
  readonly shareTags: boolean
}

export interface Resolved extends Descriptor {
  readonly stale: Stale | undefined
}

interface Remembered extends Resolved {
  readonly seenBy: 'self' | 'peers'
}

export class TagResolver {
  readonly #components: TagResolverComponents
  readonly #init: TagResolverInit
  readonly #resolving = new SingleFlight<Descriptor>()
  /** When the origin said so, milliseconds since the epoch. */
  readonly #gone = lru<string, number>(MAX_GONE)

  constructor(components: TagResolverComponents, init: TagResolverInit) {
    this.#components = components
    this.#init = init
  }

  /** @throws ShoalError of the origin; an outage when nothing stands in */
  async resolve(principal: Principal, tag: string, { signal }: Abortable): Promise<Resolved> {
    const { access, outages, log } = this.#components
    const { scope } = principal
    const { repository } = scope
    const { registry, name } = repository
    const hasStandIn = this.#remembered(principal, tag) !== undefined
    const findStandIn = (options: Abortable): Promise<boolean> => this.#askPeers(principal, tag, options)
    try {
      const found = await outages.ask(scope, { signal, hasStandIn, findStandIn }, (limited) =>
        this.#askOrigin(principal, tag, limited),
      )
      this.#answered(principal, tag, found)
      return { ...found, stale: undefined }
    } catch (error) {
      access.refused(principal, error)
      if (hasCode(error, 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN')) this.#isGone(repository, tag)
      if (!isOutage(error)) throw error
      await this.#hearPeers(principal, tag, { signal, hasStandIn })
      const standIn = this.#remembered(principal, tag)
      if (standIn === undefined) throw error
      if (standIn.seenBy === 'peers') access.linkInOutage(repository, [standIn.digest])
      const { digest, stale, seenBy } = standIn
      const fields = { registry, repository: name, tag, digest, seenBy, ageSeconds: stale?.ageSeconds, err: error }
      log.warn(fields, 'the origin cannot be asked for a tag, its last digest answers')
      return standIn
    }
  }

  async #askOrigin({ scope, identity }: Principal, tag: string, options: OriginOptions): Promise<Descriptor> {
    const { registry, name } = scope.repository
    const { signal, mirrorsOnly = false } = options
    const key = `${registry}/${name}:${tag} ${identity.key} ${mirrorsOnly}`
    return await this.#resolving.run(key, signal, (shared) =>
      this.#components.origin.resolveTag(scope, tag, { signal: shared, mirrorsOnly }),
    )
  }

  #answered(principal: Principal, tag: string, found: Descriptor): void {
    const { repositories, access, swarm, clock } = this.#components
    const { repository } = principal.scope
    access.answered(principal, found.digest)
    repositories.recordTag(repository, tag, { ...found, at: clock() })
    access.heardMediaType(repository.registry, found.digest, found.mediaType)
    this.#gone.delete(keyOf(repository, tag))
    // What only a client's own credentials open is no news for the swarm.
    if (this.#init.shareTags && principal.identity.kind !== 'client') swarm.announceTag(repository, tag)
  }

  #isGone(repository: Repository, tag: string): void {
    this.#components.repositories.forgetTag(repository, tag)
    this.#gone.set(keyOf(repository, tag), this.#components.clock())
  }

  async #hearPeers(
    principal: Principal,
    tag: string,
    { signal, hasStandIn }: Abortable & { hasStandIn: boolean },
  ): Promise<void> {
    using limited = linkSignals([signal], hasStandIn ? GRACE_MS : undefined)
    await this.#askPeers(principal, tag, limited).catch(() => signal.throwIfAborted())
  }

  /** @returns whether anything can stand in now */
  async #askPeers(principal: Principal, tag: string, options: Abortable): Promise<boolean> {
    const { access, peers } = this.#components
    const { repository } = principal.scope
    const asking = this.#init.shareTags ? peers.tag(repository, tag, options) : undefined
    const [seen] = await Promise.all([asking, access.findAdmission(principal, options)])
    if (seen !== undefined) this.#heard(repository, tag, seen)
    return this.#remembered(principal, tag) !== undefined
  }

  #heard(repository: Repository, tag: string, seen: SeenTag): void {
    const { repositories, clock } = this.#components
    if (isFromFuture(seen.at, clock)) return
    const last = Math.max(
      repositories.tag(repository, tag)?.at ?? Number.NEGATIVE_INFINITY,
      repositories.peersTag(repository, tag)?.at ?? Number.NEGATIVE_INFINITY,
      this.#gone.get(keyOf(repository, tag)) ?? Number.NEGATIVE_INFINITY,
    )
    const at = Math.min(seen.at, clock())
    if (at > last) repositories.recordPeersTag(repository, tag, { ...seen, at })
  }

  /** The newest of what is here, if this principal may have it without the origin. */
  #remembered(principal: Principal, tag: string): Remembered | undefined {
    const { repositories, access, clock } = this.#components
    if (!access.isAdmittedInOutage(principal)) return undefined
    const { repository } = principal.scope
    const own = repositories.tag(repository, tag)
    const others = this.#init.shareTags ? repositories.peersTag(repository, tag) : undefined
    const isOwn = own !== undefined && own.at >= (others?.at ?? own.at)
    const seen = isOwn ? own : others
    if (seen === undefined) return undefined
    const ageMs = clock() - seen.at
    if (ageMs > this.#init.outageMs) return undefined
    const { digest, mediaType, size } = seen
    const stale = { ageSeconds: Math.max(0, Math.round(ageMs / 1000)) }
    return { digest, mediaType, size, stale, seenBy: isOwn ? 'self' : 'peers' }
  }
}

function keyOf({ registry, name }: Repository, tag: string): string {
  return `${registry}/${name}:${tag}`
}
