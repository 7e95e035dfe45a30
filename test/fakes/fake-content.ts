import { createHash } from 'node:crypto'
import { chunkEnd, chunkStart, planChunks } from '../../src/blob/chunk-plan.ts'
import type {
  BlobReader,
  ChunkHash,
  ChunkStatement,
  ContentEvents,
  SeenTag,
  SharedBlob,
  SharedContent,
} from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/reference.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A blob for tests, with what there is to know about it. */
export class TestBlob {
  readonly bytes: Buffer
  readonly digest: Digest
  readonly hashes: readonly ChunkHash[]

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.digest = digestOf('sha256', sha256(bytes))
    const plan = planChunks(bytes.length)
    this.hashes = Array.from({ length: plan.count }, (_, index) =>
      sha256(bytes.subarray(chunkStart(plan, index), chunkEnd(plan, index))),
    )
  }
}

export interface FakeShare {
  readonly blob: TestBlob
  readonly registry: string
  readonly chunks: Set<number>
  readonly claims: Map<number, ChunkHash>
  statements: ChunkStatement[]
}

/** Content of one agent that is given to peers, in memory. */
export class FakeContent implements SharedContent {
  readonly shares = new Map<Digest, FakeShare>()
  readonly tags = new Map<string, SeenTag>()
  readonly admissions = new Map<string, number>()
  readonly links = new Set<string>()
  /** Computing hashes waits for this. */
  hashesReady: Promise<void> = Promise.resolve()
  hashings = 0
  readonly #events = new Set<ContentEvents>()

  get subscribers(): number {
    return this.#events.size
  }

  /** All of it. */
  add(blob: TestBlob, registry = 'r'): void {
    const chunks = new Set(blob.hashes.keys())
    this.shares.set(blob.digest, { blob, registry, chunks, claims: new Map(), statements: [] })
    for (const events of this.#events) events.added(blob.digest)
  }

  /** Some chunks, which came from an origin. */
  claim(blob: TestBlob, indexes: readonly number[], registry = 'r'): void {
    const share = this.shares.get(blob.digest) ?? {
      blob,
      registry,
      chunks: new Set(),
      claims: new Map(),
      statements: [],
    }
    this.shares.set(blob.digest, share)
    for (const index of indexes) {
      share.chunks.add(index)
      share.claims.set(index, blob.hashes[index] ?? '')
    }
  }

  remove(digest: Digest): void {
    this.shares.delete(digest)
    for (const events of this.#events) events.removed(digest)
  }

  find(digest: Digest, registry: string): SharedBlob | undefined {
    const share = this.shares.get(digest)
    if (share?.registry !== registry) return undefined
    const { blob, chunks, claims, statements } = share
    return {
      digest,
      size: blob.bytes.length,
      isComplete: chunks.size === blob.hashes.length,
      has: (index) => chunks.has(index),
      statements,
      claims: new Map(claims),
    }
  }

  async open(): Promise<BlobReader> {
    throw new ShoalError('BLOB_UNKNOWN', 'not needed here')
  }

  async chunkHashes(digest: Digest): Promise<readonly ChunkHash[] | undefined> {
    this.hashings += 1
    await this.hashesReady
    const share = this.shares.get(digest)
    return share?.chunks.size === share?.blob.hashes.length ? share?.blob.hashes : undefined
  }

  digests(): Iterable<Digest> {
    return this.shares.keys()
  }

  subscribe(events: ContentEvents): () => void {
    this.#events.add(events)
    return () => this.#events.delete(events)
  }

  tag({ registry, name }: Repository, tag: string): SeenTag | undefined {
    return this.tags.get(`${registry}/${name}:${tag}`)
  }

  admittedAt({ registry, name }: Repository, identities: readonly string[]): number | undefined {
    const known = identities.map((identity) => this.admissions.get(`${registry}/${name} ${identity}`) ?? -1)
    const last = Math.max(-1, ...known)
    return last < 0 ? undefined : last
  }

  isLinked({ registry, name }: Repository, digest: Digest): boolean {
    return this.links.has(`${registry}/${name} ${digest}`)
  }
}
