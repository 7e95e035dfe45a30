import type { RepositoryIndex, SeenTag } from '../../src/blob/ports.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/reference.ts'

/** A repository index in memory, for tests. */
export class MemoryRepositoryIndex implements RepositoryIndex {
  readonly #tags = new Map<string, SeenTag>()
  readonly #peersTags = new Map<string, SeenTag>()
  readonly #links = new Set<string>()
  readonly #mediaTypes = new Map<string, string>()
  readonly #admissions = new Map<string, number>()

  tag(repository: Repository, tag: string): SeenTag | undefined {
    return this.#tags.get(key(repository, tag))
  }

  recordTag(repository: Repository, tag: string, seen: SeenTag): void {
    this.#tags.set(key(repository, tag), seen)
    this.#peersTags.delete(key(repository, tag))
  }

  peersTag(repository: Repository, tag: string): SeenTag | undefined {
    return this.#peersTags.get(key(repository, tag))
  }

  recordPeersTag(repository: Repository, tag: string, seen: SeenTag): void {
    this.#peersTags.set(key(repository, tag), seen)
  }

  forgetTag(repository: Repository, tag: string): void {
    this.#tags.delete(key(repository, tag))
    this.#peersTags.delete(key(repository, tag))
  }

  isLinked(repository: Repository, digest: Digest): boolean {
    return this.#links.has(key(repository, digest))
  }

  link(repository: Repository, digests: readonly Digest[]): void {
    for (const digest of digests) this.#links.add(key(repository, digest))
  }

  mediaType(registry: string, digest: Digest): string | undefined {
    return this.#mediaTypes.get(`${registry} ${digest}`)
  }

  recordMediaType(registry: string, digest: Digest, mediaType: string): void {
    this.#mediaTypes.set(`${registry} ${digest}`, mediaType)
  }

  admittedAt(repository: Repository, identity: string): number | undefined {
    return this.#admissions.get(key(repository, identity))
  }

  recordAdmission(repository: Repository, identity: string, at: number): void {
    this.#admissions.set(key(repository, identity), at)
  }

  forgetAdmission(repository: Repository, identity: string): void {
    this.#admissions.delete(key(repository, identity))
  }
}

function key({ registry, name }: Repository, rest: string): string {
  return `${registry}/${name} ${rest}`
}
