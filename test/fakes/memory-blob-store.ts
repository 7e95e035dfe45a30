import { createHash } from 'node:crypto'
import { chunkEnd, chunkStart, planChunks } from '../../src/blob/chunk-plan.ts'
import type { Abortable, BlobReader, BlobStore, ChunkHash, ContentEvents, StoredBlob } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import { type Digest, digestAlgorithm } from '../../src/oci/digest.ts'
import type { Clock } from '../../src/util/clock.ts'
import { MemoryPartialBlob } from './memory-partial-blob.ts'

interface Kept {
  readonly bytes: Buffer
  readonly claimed: ReadonlyMap<number, ChunkHash>
  readonly unsure: ReadonlySet<number>
}

/** A store in memory, for tests. It holds no more than its quota and evicts nothing. */
export class MemoryBlobStore implements BlobStore {
  readonly #clock: Clock
  readonly #quotaBytes: number
  readonly #blobs = new Map<Digest, { row: StoredBlob; bytes: Buffer }>()
  readonly #kept = new Map<Digest, Kept>()
  readonly #open = new Map<Digest, MemoryPartialBlob>()
  readonly #listeners = new Set<ContentEvents>()
  /** Readers that were opened and not closed. */
  openReaders = 0

  constructor(components: { clock: Clock }, init: { quotaBytes: number }) {
    this.#clock = components.clock
    this.#quotaBytes = init.quotaBytes
  }

  /** Partial blobs that take writes. */
  get openPartials(): readonly MemoryPartialBlob[] {
    return [...this.#open.values()]
  }

  stat(digest: Digest): StoredBlob | undefined {
    return this.#blobs.get(digest)?.row
  }

  async open(digest: Digest): Promise<BlobReader> {
    const blob = this.#blobs.get(digest)
    if (blob === undefined) throw new ShoalError('BLOB_UNKNOWN', 'the blob is not in the store')
    blob.row = { ...blob.row, usedAt: this.#clock() }
    this.openReaders += 1
    let isOpen = true
    return {
      digest,
      size: blob.bytes.length,
      read: async (target: Uint8Array, position: number, { signal }: Abortable) => {
        signal.throwIfAborted()
        if (!isOpen) throw new ShoalError('STORE_FAILED', 'the reader is closed')
        const bytes = blob.bytes.subarray(position, position + target.length)
        target.set(bytes)
        return bytes.length
      },
      close: async () => {
        if (isOpen) this.openReaders -= 1
        isOpen = false
      },
    }
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    this.#check(digest)
    if (bytes.length > this.#quotaBytes) throw new ShoalError('STORE_FULL', 'the blob is larger than the quota')
    this.#add(digest, Buffer.from(bytes))
  }

  list(): StoredBlob[] {
    return [...this.#blobs.values()].map(({ row }) => row)
  }

  remove(digest: Digest): void {
    if (this.#blobs.delete(digest)) for (const listener of this.#listeners) listener.removed(digest)
  }

  async chunkHashes(digest: Digest, { signal }: Abortable): Promise<readonly ChunkHash[] | undefined> {
    signal.throwIfAborted()
    const bytes = this.#blobs.get(digest)?.bytes
    if (bytes === undefined) return undefined
    const plan = planChunks(bytes.length)
    return Array.from({ length: plan.count }, (_, index) =>
      createHash('sha256')
        .update(bytes.subarray(chunkStart(plan, index), chunkEnd(plan, index)))
        .digest('hex'),
    )
  }

  subscribe(events: ContentEvents): () => void {
    this.#listeners.add(events)
    return () => this.#listeners.delete(events)
  }

  partialSize(digest: Digest): number | undefined {
    return this.#kept.get(digest)?.bytes.length
  }

  async openPartial(digest: Digest, size: number): Promise<MemoryPartialBlob> {
    this.#check(digest)
    if (this.#open.has(digest)) throw new ShoalError('STORE_FAILED', 'the partial blob is open already')
    if (size > this.#quotaBytes) throw new ShoalError('STORE_FULL', 'the blob is larger than the quota')
    const kept = this.#kept.get(digest)
    const empty = { bytes: Buffer.alloc(size), claimed: new Map(), unsure: new Set<number>() }
    const { bytes, claimed, unsure } = kept?.bytes.length === size ? kept : empty
    const partial = new MemoryPartialBlob({
      digest,
      plan: planChunks(size),
      bytes,
      claimed,
      unsure,
      onEnd: (outcome, logged) => {
        this.#open.delete(digest)
        this.#kept.delete(digest)
        if (outcome === 'committed') this.#add(digest, bytes)
        if (outcome === 'closed' && logged.claimed.size > 0) {
          this.#kept.set(digest, { bytes, claimed: new Map(logged.claimed), unsure: new Set(logged.unsure) })
        }
      },
    })
    this.#open.set(digest, partial)
    return partial
  }

  #add(digest: Digest, bytes: Buffer): void {
    const now = this.#clock()
    const isNew = !this.#blobs.has(digest)
    this.#blobs.set(digest, { row: { digest, size: bytes.length, storedAt: now, usedAt: now, pinned: false }, bytes })
    if (isNew) for (const listener of this.#listeners) listener.added(digest)
  }

  #check(digest: Digest): void {
    if (digestAlgorithm(digest) === 'sha256') return
    throw new ShoalError('UNSUPPORTED', 'the store holds sha256 blobs only')
  }
}
