/**
 * What is believed of what peers say about repositories while their origin cannot be asked. Owns admissions and links
 * that rest on peers' word, in memory and never told to others, and the refusals of origins, which no older word of a peer undoes.
 * Called by `Access` alone.
 */

import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import { lru } from '../util/lru.ts'
import type { PeerKnowledge } from './peer-knowledge.ts'
import { isFromFuture } from './peers-clock.ts'
import type { Abortable, Identity } from './ports.ts'

const MAX_ADMISSIONS = 10_000
const MAX_REFUSALS = 10_000
const MAX_LINKS = 100_000
/** A pull that began in an outage ends in this time; a later one asks again. */
const LINK_MEMORY_MS = 60 * 60 * 1000

export class PeersWord {
  readonly #peers: PeerKnowledge
  readonly #clock: Clock
  readonly #admissions = lru<string, number>(MAX_ADMISSIONS)
  readonly #refusals = lru<string, number>(MAX_REFUSALS)
  readonly #links = lru<string, true>(MAX_LINKS, { ttl: LINK_MEMORY_MS })

  constructor(components: { readonly peers: PeerKnowledge; readonly clock: Clock }) {
    this.#peers = components.peers
    this.#clock = components.clock
  }

  /** As peers said when they were asked; milliseconds since the epoch. @param identity its key */
  admittedAt(repository: Repository, identity: string): number | undefined {
    return this.#admissions.get(keyOf(repository, identity))
  }

  isLinked(repository: Repository, digest: Digest): boolean {
    return this.#links.has(keyOf(repository, digest))
  }

  /** Asks peers about nobody's admission, and about this one's if it means the same to them. */
  async findAdmission(repository: Repository, identity: Identity, options: Abortable): Promise<void> {
    const isComparable = identity.kind === 'agent-shared'
    const asked = isComparable ? ['anonymous', identity.key] : ['anonymous']
    const at = await this.#peers.admittedAt(repository, asked, options)
    if (at === undefined || isFromFuture(at, this.#clock)) return
    const key = keyOf(repository, isComparable ? identity.key : 'anonymous')
    if (at <= (this.#refusals.get(key) ?? Number.NEGATIVE_INFINITY)) return
    this.#admissions.set(key, Math.max(at, this.#admissions.get(key) ?? at))
  }

  async findLink(repository: Repository, digest: Digest, options: Abortable): Promise<void> {
    if (await this.#peers.isLinked(repository, digest, options)) this.link(repository, [digest])
  }

  link(repository: Repository, digests: readonly Digest[]): void {
    if (this.#peers.isAlone) return
    for (const digest of digests) this.#links.set(keyOf(repository, digest), true)
  }

  refused(repository: Repository, identity: string): void {
    const key = keyOf(repository, identity)
    this.#refusals.set(key, this.#clock())
    this.#admissions.delete(key)
  }
}

function keyOf({ registry, name }: Repository, what: string): string {
  return `${registry}/${name} ${what}`
}
