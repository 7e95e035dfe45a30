/**
 * Brings manifests that are not here, from peers and the origin at once: peers first, the origin after a head start; the first
 * good answer wins and the other is let go. Owns the fetches under way, one for each identity, and one of peers for all.
 *
 * Bytes are checked against their digest whoever sent them, and those of peers are given and kept only when the principal may
 * have them: known, or told by the origin (by its own answer to GET if that runs already), or by what stands in for it.
 */
import { hasCode, isOutage, ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm } from '../oci/digest.ts'
import { firstGood } from '../util/first-good.ts'
import type { Logger } from '../util/logger.ts'
import { raceAbort } from '../util/race-abort.ts'
import { linkSignals } from '../util/signals.ts'
import { SingleFlight } from '../util/single-flight.ts'
import type { Access, Admission, Principal } from './access.ts'
import { type Held, isOfDigest, MAX_MANIFEST_BYTES, type ManifestCache } from './manifest-cache.ts'
import type { Abortable, Origin, RepositoryIndex, Swarm } from './ports.ts'

/** So long peers are waited for when the origin has nothing to give. */
const PEERS_MS = 5_000

export interface ManifestFetcherComponents {
  readonly origin: Pick<Origin, 'fetchManifest'>
  readonly swarm: Pick<Swarm, 'hasPeers' | 'fetchSmall'>
  readonly repositories: RepositoryIndex
  readonly access: Access
  readonly cache: ManifestCache
  readonly log: Logger
}

export interface ManifestFetcherInit {
  /** By so much peers are asked before the origin. */
  readonly headStartMs: number
}

export interface Fetched {
  readonly held: Held
  readonly admission: Admission
}

export class ManifestFetcher {
  readonly #components: ManifestFetcherComponents
  readonly #init: ManifestFetcherInit
  readonly #fetching = new SingleFlight<Fetched>()
  readonly #askingPeers = new SingleFlight<Buffer | undefined>()

  constructor(components: ManifestFetcherComponents, init: ManifestFetcherInit) {
    this.#components = components
    this.#init = init
  }

  /** @throws ShoalError of the origin, also when it refuses what peers have */
  async fetch(principal: Principal, digest: Digest, { signal }: Abortable): Promise<Fetched> {
    const { registry, name } = principal.scope.repository
    const key = `${registry}/${name} ${digest} ${principal.identity.key}`
    try {
      return await this.#fetching.run(key, signal, (shared) => this.#race(principal, digest, shared))
    } catch (error) {
      this.#components.access.refused(principal, error)
      throw error
    }
  }

  /** For a principal that was admitted and an origin that cannot be asked. @returns undefined when no peer has it */
  async fetchFromPeers(registry: string, digest: Digest, options: Abortable): Promise<Held | undefined> {
    const bytes = await this.#fromPeers(registry, digest, options.signal)
    options.signal.throwIfAborted()
    return bytes && this.#components.cache.keep(registry, digest, bytes)
  }

  async #race(principal: Principal, digest: Digest, signal: AbortSignal): Promise<Fetched> {
    const { registry } = principal.scope.repository
    if (!this.#components.swarm.hasPeers) return await this.#fromOrigin(principal, digest, signal)
    using race = linkSignals([signal])
    try {
      const peers = this.#fromPeers(registry, digest, race.signal)
      const early = await this.#withinHeadStart(peers, signal)
      let asking: Promise<Fetched> | undefined
      const fromOrigin = (): Promise<Fetched> => (asking ??= this.#fromOrigin(principal, digest, race.signal))
      const attempts = early === undefined ? [fromOrigin()] : []
      const fromPeers = peers.then((bytes) => bytes && this.#admit(principal, digest, bytes, race.signal, asking))
      const fetched = await firstGood([...attempts, fromPeers.catch(orElse(fromOrigin))], isFinal)
      if (fetched === undefined) throw new ShoalError('INTERNAL', 'the origin was not asked', { detail: { digest } })
      return fetched
    } finally {
      race.abort(new DOMException('another answer was first', 'AbortError'))
    }
  }

  async #withinHeadStart(peers: Promise<Buffer | undefined>, signal: AbortSignal): Promise<Buffer | undefined> {
    using head = linkSignals([signal], this.#init.headStartMs)
    return await raceAbort(peers, head.signal).catch(() => {
      signal.throwIfAborted()
      return undefined
    })
  }

  async #fromOrigin(principal: Principal, digest: Digest, signal: AbortSignal): Promise<Fetched> {
    const { origin, access, repositories, cache } = this.#components
    const { scope } = principal
    const { registry } = scope.repository
    const fetched = await origin.fetchManifest(scope, digest, { signal })
    repositories.recordMediaType(registry, digest, fetched.mediaType)
    access.answered(principal, digest)
    return { held: cache.keep(registry, digest, fetched.bytes), admission: 'fresh' }
  }

  async #admit(
    principal: Principal,
    digest: Digest,
    bytes: Buffer,
    signal: AbortSignal,
    proof: Promise<Fetched> | undefined,
  ): Promise<Fetched> {
    const { access, cache } = this.#components
    const { registry } = principal.scope.repository
    // Peers give content only in the name of a registry that they know to have sent it.
    access.served(registry, digest)
    const ensure = (by?: typeof proof): Promise<Admission> =>
      access.ensure(principal, digest, 'manifest', { signal, proof: by })
    // Of what the origin sends wrong bytes, it can still say who may have it.
    const mayAskAgain = (error: unknown): boolean => proof !== undefined && !isFinal(error) && !isOutage(error)
    const admission = await ensure(proof).catch((error) => {
      if (mayAskAgain(error)) return ensure()
      throw error
    })
    return { held: cache.keep(registry, digest, bytes), admission }
  }

  /** Never fails, and ends when `signal` aborts. */
  async #fromPeers(registry: string, digest: Digest, signal: AbortSignal): Promise<Buffer | undefined> {
    const { swarm, log } = this.#components
    if (!swarm.hasPeers || digestAlgorithm(digest) !== 'sha256') return undefined
    try {
      return await this.#askingPeers.run(`${registry} ${digest}`, signal, async (shared) => {
        using limited = linkSignals([shared], PEERS_MS)
        const wanted = { digest, registry, maxBytes: MAX_MANIFEST_BYTES }
        const bytes = await raceAbort(swarm.fetchSmall(wanted, limited), limited.signal)
        if (bytes === undefined) return undefined
        if (bytes.length <= MAX_MANIFEST_BYTES && isOfDigest(bytes, digest)) return bytes
        throw new ShoalError('PEER_MISBEHAVED', 'the swarm gave other bytes', { detail: { digest } })
      })
    } catch (error) {
      if (!signal.aborted) log.debug({ digest, err: error }, 'no manifest from peers')
      return undefined
    }
  }
}

/** The origin has spoken: what peers have changes nothing. */
function isFinal(error: unknown): boolean {
  if (hasCode(error, 'UNAUTHORIZED', 'DENIED', 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN')) return true
  return error instanceof ShoalError && error.meaning.fault === 'client'
}

/** A registry that answers no HEAD may still answer GET. */
function orElse<T>(next: () => Promise<T>): (error: unknown) => Promise<T> {
  return async (error) => {
    if (!hasCode(error, 'ORIGIN_MISBEHAVED')) throw error
    return await next()
  }
}
