/**
 * What peers may have of this agent: complete blobs of the store, content of the host that was hashed here, and the verified
 * chunks of transfers under way. Owns nothing; asked by the swarm.
 *
 * A registry's name opens only what this registry may vouch for, and a transfer that fetches from it: so peers get no more
 * through this agent than the clients of this host would. What peers read counts as a use, for what they fetch now is what
 * the fleet pulls; that they ask, or want the chunks' hashes, does not.
 */
import { ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm } from '../oci/digest.ts'
import { parseRegistry, type Repository } from '../oci/reference.ts'
import type { Access } from './access.ts'
import { planChunks } from './chunk-plan.ts'
import type {
  Abortable,
  BlobReader,
  BlobStore,
  ChunkHash,
  ContentEvents,
  SeenTag,
  SharedBlob,
  SharedContent,
  StoredBlob,
} from './ports.ts'

/** A transfer under way, as peers see it. */
export interface SharedTransfer {
  /** The one it fetches from. */
  readonly registry: string
  /** Undefined while there is nothing to share. */
  shared(): SharedBlob | undefined
  /** Reads every chunk that is verified. @throws ShoalError when the transfer is over */
  openShared(): BlobReader
}

/** Content of the host that was hashed here, so that it may be given away. */
export interface CheckedContent {
  /** There is nowhere to look. */
  readonly isEmpty: boolean
  /** Bytes of a blob that was found good and is not known to have changed since. */
  size(digest: Digest): number | undefined
  /** Most recently used first. */
  digests(): Iterable<Digest>
  /** Checks it in the background if it is there: `subscribe` tells when it is good. */
  check(digest: Digest): void
  /** @throws ShoalError BLOB_UNKNOWN, STORE_FAILED */
  open(digest: Digest): Promise<BlobReader>
  chunkHashes(digest: Digest, options: Abortable): Promise<readonly ChunkHash[] | undefined>
  subscribe(events: ContentEvents): () => void
}

export interface LocalContentComponents {
  readonly store: Pick<BlobStore, 'stat' | 'open' | 'chunkHashes' | 'subscribe'> & { list(): readonly StoredBlob[] }
  readonly hostContent: CheckedContent
  readonly access: Pick<Access, 'mayVouch'>
  readonly runningTransfer: (digest: Digest) => SharedTransfer | undefined
  readonly knowledge: Pick<SharedContent, 'tag' | 'admittedAt' | 'isLinked'>
}

export class LocalContent implements SharedContent {
  readonly #components: LocalContentComponents

  constructor(components: LocalContentComponents) {
    this.#components = components
  }

  find(digest: Digest, registry: string): SharedBlob | undefined {
    if (digestAlgorithm(digest) !== 'sha256') return undefined
    const { hostContent } = this.#components
    // Whether it is here comes first: what nobody has must not cost a look into the index for each name a peer makes up.
    const size = this.#completeSize(digest)
    const running = this.#running(digest, registry)
    if (size === undefined && running === undefined) {
      if (!hostContent.isEmpty && this.#mayVouch(registry, digest)) hostContent.check(digest)
      return undefined
    }
    if (size !== undefined && this.#mayVouch(registry, digest)) return complete(digest, size)
    return running?.shared()
  }

  async open(digest: Digest, registry: string): Promise<BlobReader> {
    const { store, hostContent } = this.#components
    if (this.#completeSize(digest) !== undefined && this.#mayVouch(registry, digest)) {
      return await (store.stat(digest) === undefined ? hostContent.open(digest) : store.open(digest))
    }
    const running = this.#running(digest, registry)
    if (running?.shared() !== undefined) return running.openShared()
    throw new ShoalError('BLOB_UNKNOWN', 'the blob is not here', { detail: { digest } })
  }

  async chunkHashes(digest: Digest, options: Abortable): Promise<readonly ChunkHash[] | undefined> {
    const { store, hostContent } = this.#components
    return (await store.chunkHashes(digest, options)) ?? (await hostContent.chunkHashes(digest, options))
  }

  *digests(): Generator<Digest> {
    const { store, hostContent } = this.#components
    const stored = [...store.list()].sort((a, b) => b.usedAt - a.usedAt)
    for (const { digest } of stored) yield digest
    for (const digest of hostContent.digests()) if (store.stat(digest) === undefined) yield digest
  }

  subscribe(events: ContentEvents): () => void {
    const { store, hostContent } = this.#components
    const forwarded: ContentEvents = {
      added: (digest) => events.added(digest),
      removed: (digest) => {
        if (this.#completeSize(digest) === undefined) events.removed(digest)
      },
    }
    const ends = [store.subscribe(forwarded), hostContent.subscribe(forwarded)]
    return () => {
      for (const end of ends) end()
    }
  }

  tag(repository: Repository, tag: string): SeenTag | undefined {
    return this.#components.knowledge.tag(repository, tag)
  }

  admittedAt(repository: Repository, identities: readonly string[]): number | undefined {
    return this.#components.knowledge.admittedAt(repository, identities)
  }

  isLinked(repository: Repository, digest: Digest): boolean {
    return this.#components.knowledge.isLinked(repository, digest)
  }

  #completeSize(digest: Digest): number | undefined {
    const { store, hostContent } = this.#components
    return store.stat(digest)?.size ?? hostContent.size(digest)
  }

  #running(digest: Digest, registry: string): SharedTransfer | undefined {
    const running = this.#components.runningTransfer(digest)
    if (running === undefined) return undefined
    return running.registry === registry || this.#mayVouch(registry, digest) ? running : undefined
  }

  #mayVouch(registry: string, digest: Digest): boolean {
    return isRegistry(registry) && this.#components.access.mayVouch(registry, digest)
  }
}

/** A peer may send anything; a name in another form could mean another key of the index. */
function isRegistry(text: string): boolean {
  try {
    return parseRegistry(text) === text
  } catch {
    return false
  }
}

function complete(digest: Digest, size: number): SharedBlob {
  const { count } = planChunks(size)
  return {
    digest,
    size,
    isComplete: true,
    has: (index) => Number.isInteger(index) && index >= 0 && index < count,
    statements: [],
    claims: new Map(),
  }
}
