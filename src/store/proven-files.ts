import type { ChunkHash, ContentEvents } from '../blob/ports.ts'
import type { Digest } from '../oci/digest.ts'

/** A file of the host whose bytes had the digest. */
export interface ProvenFile {
  readonly path: string
  /** See `stateOf`. */
  readonly state: string
  readonly size: number
  /** Of all chunks, once they were needed. */
  readonly chunks: readonly ChunkHash[] | undefined
}

/** Which content of the host was found good and is not known to have changed since. Tells whoever listens. */
export class ProvenFiles {
  readonly #maxFiles: number
  readonly #listeners = new Set<ContentEvents>()
  /** Least recently used first. */
  readonly #files = new Map<Digest, ProvenFile>()

  constructor(init = { maxFiles: 10_000 }) {
    this.#maxFiles = init.maxFiles
  }

  /** Counts as a use. */
  get(digest: Digest): ProvenFile | undefined {
    const file = this.#files.get(digest)
    if (file === undefined) return undefined
    this.#files.delete(digest)
    this.#files.set(digest, file)
    return file
  }

  /** Most recently used first. */
  digests(): Digest[] {
    return [...this.#files.keys()].toReversed()
  }

  add(digest: Digest, file: Omit<ProvenFile, 'chunks'>, chunks?: readonly ChunkHash[]): ProvenFile {
    const before = this.#files.get(digest)
    const proven = { ...file, chunks: chunks ?? before?.chunks }
    this.#files.delete(digest)
    this.#files.set(digest, proven)
    if (before !== undefined) return proven
    const [oldest] = this.#files.keys()
    if (oldest !== undefined && this.#files.size > this.#maxFiles) this.#remove(oldest)
    for (const listener of this.#listeners) listener.added(digest)
    return proven
  }

  /** Unless another file was found good meanwhile. */
  forget(digest: Digest, file: ProvenFile): void {
    if (this.#files.get(digest)?.state === file.state) this.#remove(digest)
  }

  subscribe(events: ContentEvents): () => void {
    this.#listeners.add(events)
    return () => this.#listeners.delete(events)
  }

  #remove(digest: Digest): void {
    this.#files.delete(digest)
    for (const listener of this.#listeners) listener.removed(digest)
  }
}
