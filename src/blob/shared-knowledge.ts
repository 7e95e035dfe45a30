/**
 * What this agent tells peers about repositories: only what it learnt from the origin itself, and only of repositories that it
 * was let into without the credentials of a client. Called by the `SharedContent` of the swarm, for whatever a peer names.
 */
import type { Digest } from '../oci/digest.ts'
import { parseName, parseRegistry, parseTagOrDigest, type Repository } from '../oci/reference.ts'
import type { Identity, Origin, RepositoryIndex, SeenTag } from './ports.ts'

/** Of an agent's credentials under a key that all agents of the swarm share. */
const SHARED_IDENTITY = /^agent-shared:[0-9a-f]{64}$/
const MAX_IDENTITIES = 4

export class SharedKnowledge {
  readonly #origin: Pick<Origin, 'identity'>
  readonly #repositories: RepositoryIndex
  readonly #shareTags: boolean

  constructor(
    components: { readonly origin: Pick<Origin, 'identity'>; readonly repositories: RepositoryIndex },
    init: { readonly shareTags: boolean },
  ) {
    this.#origin = components.origin
    this.#repositories = components.repositories
    this.#shareTags = init.shareTags
  }

  tag(repository: Repository, tag: string): SeenTag | undefined {
    if (!this.#shareTags || !isTag(tag) || !this.#isOpen(repository)) return undefined
    return this.#repositories.tag(repository, tag)
  }

  isLinked(repository: Repository, digest: Digest): boolean {
    return this.#isOpen(repository) && this.#repositories.isLinked(repository, digest)
  }

  /** Of identities that mean the same on every agent; others are passed over. Milliseconds since the epoch. */
  admittedAt(repository: Repository, identities: readonly string[]): number | undefined {
    if (!isCanonical(repository)) return undefined
    const times = identities
      .slice(0, MAX_IDENTITIES)
      .filter((identity) => identity === 'anonymous' || SHARED_IDENTITY.test(identity))
      .map((identity) => this.#repositories.admittedAt(repository, identity))
      .filter((at) => at !== undefined)
    return times.length === 0 ? undefined : Math.max(...times)
  }

  /** The origin admitted nobody in particular, or the agent itself. */
  #isOpen(repository: Repository): boolean {
    const identity = isCanonical(repository) ? this.#ownIdentity(repository) : undefined
    if (identity === undefined) return false
    return ['anonymous', identity.key].some((key) => this.#repositories.admittedAt(repository, key) !== undefined)
  }

  #ownIdentity(repository: Repository): Identity | undefined {
    try {
      return this.#origin.identity({ repository, authorization: undefined })
    } catch {
      // Not allowed here (any more).
      return undefined
    }
  }
}

/** A name in another form would read what the index keeps under keys of its own. */
function isCanonical({ registry, name }: Repository): boolean {
  try {
    return parseRegistry(registry) === registry && parseName(name) === name
  } catch {
    return false
  }
}

function isTag(text: string): boolean {
  try {
    return 'tag' in parseTagOrDigest(text)
  } catch {
    return false
  }
}
