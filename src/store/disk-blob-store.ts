/**
 * Blobs on the local disk.
 *
 *     <dir>/blobs/sha256/<2 hex>/<hex>     complete and verified
 *     <dir>/partial/<hex>, <hex>.chunks    on their way in
 *     <dir>/maps/<2 hex>/<hex>             hashes of the chunks of complete blobs
 *
 * A file enters `blobs/` only by a rename after it was synced. What names are made and removed for one digest runs in
 * order, under a lock of its own; the index is what the rest of the agent sees, and changes at once. Holds sha256 digests
 * only: others are never here, and are refused with UNSUPPORTED when they are to be stored.
 */
import { type FileHandle, rm } from 'node:fs/promises'
import { type ChunkPlan, planChunks } from '../blob/chunk-plan.ts'
import type { Abortable, BlobReader, ChunkHash, ContentEvents, PartialBlob, StoredBlob } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { BlobDirectory } from './blob-directory.ts'
import { FileBlobReader } from './blob-reader.ts'
import { ChunkHashes, type ChunkHashesComponents } from './chunk-hashes.ts'
import { ChunkMapDirectory } from './chunk-map-directory.ts'
import { DiskWatch } from './disk-watch.ts'
import { storing } from './file-errors.ts'
import { FileSync } from './file-sync.ts'
import { FreeSpace } from './free-space.ts'
import { type Collectable, type Collected, GarbageCollector } from './garbage-collector.ts'
import type { HashPool } from './hash-pool.ts'
import { KeyedLock } from './keyed-lock.ts'
import { makeDirectory } from './make-directory.ts'
import type { DamageReason, ManagedBlobStore, StoreUsage, VerifyEvent } from './managed-blob-store.ts'
import { DiskPartialBlob } from './partial-blob.ts'
import { PartialDirectory } from './partial-directory.ts'
import { StoreIndex } from './store-index.ts'
import { StorePaths } from './store-paths.ts'
import { type Verifiable, verifyStore } from './store-verifier.ts'
import { UseCounts } from './use-counts.ts'
import type { Evictable } from './victims.ts'
import { WriteHealth } from './write-health.ts'

export interface DiskBlobStoreComponents {
  readonly log: Logger
  readonly clock: Clock
  readonly hashes: HashPool
}

export interface DiskBlobStoreInit {
  readonly dir: string
  readonly quotaBytes: number
}

export class DiskBlobStore implements ManagedBlobStore {
  readonly #log: Logger
  readonly #freeSpace: FreeSpace
  readonly #hashes: HashPool
  readonly #paths: StorePaths
  readonly #index: StoreIndex
  readonly #blobs: BlobDirectory
  readonly #partials: PartialDirectory
  readonly #collector: GarbageCollector
  readonly #maps: ChunkMapDirectory
  readonly #chunkHashes: ChunkHashes
  readonly #sync = new FileSync()
  readonly #locks = new KeyedLock<Digest>()
  readonly #uses = new UseCounts()
  readonly #writes = new WriteHealth()
  readonly #watch: DiskWatch
  /** Digests whose partial blob takes writes. */
  readonly #filling = new Set<Digest>()
  #isRunning = false

  constructor(components: DiskBlobStoreComponents, init: DiskBlobStoreInit) {
    const { log, clock } = components
    this.#freeSpace = new FreeSpace({ clock }, { dir: init.dir })
    this.#log = log
    this.#hashes = components.hashes
    this.#paths = new StorePaths(init.dir)
    this.#index = new StoreIndex({ log, clock }, { paths: this.#paths })
    this.#partials = new PartialDirectory({ clock }, { paths: this.#paths })
    this.#blobs = new BlobDirectory({ sync: this.#sync }, { paths: this.#paths })
    this.#maps = new ChunkMapDirectory({ paths: this.#paths })
    this.#chunkHashes = new ChunkHashes({ log, hashes: this.#hashes, maps: this.#maps, store: this.#verifiable() })
    this.#collector = new GarbageCollector({ log, clock, store: this.#collectable() }, { quotaBytes: init.quotaBytes })
    this.#watch = new DiskWatch(
      { writes: this.#writes, evictableBytes: () => this.#evictableBytes() },
      { dir: init.dir },
    )
  }

  get usage(): StoreUsage {
    return {
      quotaBytes: this.#collector.quotaBytes,
      blobs: this.#index.count,
      blobBytes: this.#index.bytes,
      partials: this.#partials.entries.size,
      partialBytes: this.#partials.bytes,
      evictedBlobs: this.#collector.evicted.blobs,
      evictedBytes: this.#collector.evicted.bytes,
      writeFailures: this.#writes.failures,
    }
  }

  get isWritable(): boolean {
    return this.#writes.isWritable
  }

  async start(): Promise<void> {
    await storing('the data directory cannot be used', async () => {
      makeDirectory(this.#paths.blobs)
      makeDirectory(this.#paths.partials)
      await this.#partials.scan()
      await this.#index.open()
      // A crash came between the rename and the removal of the log, or the blob was stored in another way.
      for (const digest of this.#partials.entries.keys()) {
        if (this.#index.get(digest) !== undefined) await this.#partials.remove(digest).catch(() => {})
      }
      await this.#sweepMaps()
    })
    this.#chunkHashes.start()
    this.#watch.start()
    this.#isRunning = true
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    this.#watch.stop()
    await this.#chunkHashes.stop()
    await this.#locks.idle()
    this.#index.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  stat(digest: Digest): StoredBlob | undefined {
    return this.#index.get(digest)
  }

  subscribe(events: ContentEvents): () => void {
    return this.#index.subscribe(events)
  }

  async chunkHashes(digest: Digest, options: Abortable): Promise<readonly ChunkHash[] | undefined> {
    const blob = this.#isRunning ? this.#index.get(digest) : undefined
    return blob && (await this.#chunkHashes.get(blob, options))
  }

  list(): StoredBlob[] {
    return this.#index.list()
  }

  pin(digest: Digest, pinned: boolean): boolean {
    return this.#index.pin(digest, pinned)
  }

  async open(digest: Digest): Promise<BlobReader> {
    const blob = this.#index.get(digest)
    if (blob === undefined) throw unknown(digest)
    const release = this.#uses.acquire(digest)
    try {
      const handle = await this.#openFile(blob)
      this.#index.touch(digest)
      return new FileBlobReader({ digest, size: blob.size, handle, onClose: release })
    } catch (error) {
      release()
      throw error
    }
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    this.#check(digest)
    if (this.#index.get(digest) !== undefined) return this.#index.touch(digest)
    const release = this.#uses.acquire(digest)
    try {
      await this.#writes.watch(bytes.length, async () => {
        using _room = await this.#collector.makeRoom(bytes.length)
        await storing('could not store a blob', () => this.#locks.run(digest, () => this.#write(digest, bytes)))
      })
    } finally {
      release()
    }
  }

  partialSize(digest: Digest): number | undefined {
    const entry = this.#partials.entries.get(digest)
    return entry?.hasChunks ? entry.size : undefined
  }

  async openPartial(digest: Digest, size: number, options = { takeUp: true }): Promise<PartialBlob> {
    this.#check(digest)
    const plan = planChunks(size)
    if (this.#filling.has(digest)) {
      throw new ShoalError('STORE_FAILED', 'the partial blob is open already', { detail: { digest } })
    }
    this.#filling.add(digest)
    const release = this.#uses.acquire(digest)
    try {
      return await this.#writes.watchFailure(size, async () => {
        const counted = this.#partials.entries.get(digest)?.size ?? 0
        using _room = await this.#collector.makeRoom(Math.max(0, size - counted))
        const take = (): Promise<DiskPartialBlob> => this.#take(digest, plan, options.takeUp, release)
        return await storing('could not open a partial blob', () => this.#locks.run(digest, take))
      })
    } catch (error) {
      this.#filling.delete(digest)
      release()
      throw error
    }
  }

  async remove(digest: Digest): Promise<number | undefined> {
    const blob = this.#index.get(digest)
    const partial = this.#filling.has(digest) ? undefined : this.#partials.entries.get(digest)
    if (blob === undefined && partial === undefined) return undefined
    await storing('could not remove a blob', async () => {
      if (partial !== undefined) await this.#removePartial(digest)
      if (blob !== undefined) await this.#removeBlob(blob)
    })
    return (blob?.size ?? 0) + (partial?.size ?? 0)
  }

  verify(options: Abortable): AsyncIterable<VerifyEvent> {
    return verifyStore({ store: this.#verifiable(), hashes: this.#hashes }, options)
  }

  async setQuota(quotaBytes: number): Promise<void> {
    this.#collector.quotaBytes = quotaBytes
    if (this.#isRunning) await this.#collector.collect()
  }

  async collect(options?: { readonly keepBytes?: number | undefined }): Promise<Collected> {
    await this.#sweepMaps()
    return await this.#collector.collect(options)
  }

  // ------------------------------------------------------------------------------------------------------- blobs

  /** @throws ShoalError BLOB_UNKNOWN when the file is missing or of the wrong length: the blob is dropped then */
  async #openFile(blob: StoredBlob): Promise<FileHandle> {
    const opening = (): Promise<FileHandle | undefined> => this.#blobs.open(blob.digest, blob.size)
    const handle = await storing('could not open a blob', opening)
    if (handle !== undefined) return handle
    await this.#drop(blob, 'missing or of the wrong length')
    throw unknown(blob.digest)
  }

  #verifiable(): Verifiable & ChunkHashesComponents['store'] {
    return {
      list: () => this.list(),
      holds: (blob) => this.#index.get(blob.digest) === blob,
      drop: (blob, reason) => this.#drop(blob, reason),
      withFile: async (blob, work) => {
        await using handle = await this.#openFile(blob)
        return await work(handle)
      },
      whileHere: (blob, work) =>
        this.#locks.run(blob.digest, async () => {
          if (this.#index.get(blob.digest) === blob) await work()
        }),
    }
  }

  async #sweepMaps(): Promise<void> {
    try {
      await this.#maps.sweep((digest) => this.#index.get(digest) !== undefined)
    } catch (error) {
      this.#log.debug({ err: error }, 'the chunk maps could not be looked through')
    }
  }

  async #drop(blob: StoredBlob, reason: DamageReason): Promise<void> {
    // It may have been evicted, and stored anew, since it was looked at.
    if (this.#index.get(blob.digest) !== blob) return
    this.#log.warn({ digest: blob.digest, reason }, 'a damaged blob was dropped from the store')
    await storing('could not drop a blob', () => this.#removeBlob(blob))
  }

  /** Gone from the index at once. */
  async #removeBlob(blob: StoredBlob): Promise<void> {
    const { digest } = blob
    this.#index.remove(digest)
    await this.#locks.run(digest, async () => {
      if (this.#index.get(digest) !== undefined) return
      try {
        // The map first: a blob without one is normal, a map without a blob is left over.
        await this.#maps.remove(digest)
        await this.#blobs.remove(digest)
      } catch (error) {
        this.#index.restore(blob)
        throw error
      }
    })
  }

  async #write(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (this.#index.get(digest) !== undefined) return
    await this.#blobs.write(digest, bytes)
    this.#index.add(digest, bytes.length)
    await this.#blobs.syncName(digest)
  }

  // ---------------------------------------------------------------------------------------------------- partial blobs

  async #take(digest: Digest, plan: ChunkPlan, takeUp: boolean, release: () => void): Promise<DiskPartialBlob> {
    const files = await this.#partials.take(digest, plan.size, takeUp)
    let isFilling = true
    const filled = (): boolean => {
      if (!isFilling) return false
      isFilling = false
      return this.#filling.delete(digest)
    }
    const home = {
      commit: async (hashes: readonly ChunkHash[] | undefined) => {
        await this.#locks.run(digest, () => this.#commit(digest, plan.size, hashes))
        filled()
      },
      discard: async () => {
        await this.#locks.run(digest, () => this.#partials.remove(digest))
        filled()
      },
      closed: () => {
        if (filled()) this.#partials.kept(digest)
        release()
      },
    }
    const components = { hashes: this.#hashes, sync: this.#sync, home, writes: this.#writes }
    return new DiskPartialBlob(components, { digest, plan, ...files })
  }

  async #commit(digest: Digest, size: number, hashes: readonly ChunkHash[] | undefined): Promise<void> {
    await this.#blobs.moveIn(digest, this.#paths.partial(digest))
    this.#partials.forget(digest)
    if (hashes !== undefined) this.#chunkHashes.remember(digest, hashes)
    this.#index.add(digest, size)
    const mapping = hashes && this.#chunkHashes.keep(digest, size, hashes)
    try {
      await this.#blobs.syncName(digest)
      await rm(this.#paths.chunkLog(digest), { force: true })
    } catch (error) {
      this.#log.warn({ digest, err: error }, 'a blob is stored but may be lost in a power cut')
    }
    await mapping
  }

  async #removePartial(digest: Digest): Promise<void> {
    this.#partials.forget(digest)
    await this.#locks.run(digest, async () => {
      if (!this.#filling.has(digest)) await this.#partials.remove(digest)
    })
  }

  // ------------------------------------------------------------------------------------------------------------ room

  #collectable(): Collectable {
    const bytes = (): number => this.#index.bytes + this.#partials.bytes
    return {
      get bytes() {
        return bytes()
      },
      rows: () => this.#rows(),
      evict: (row) => storing('could not evict a blob', () => this.#evict(row)),
      freeBytes: () => this.#freeSpace.bytes(),
    }
  }

  *#rows(): Generator<Evictable> {
    for (const { digest, size, usedAt, pinned } of this.#index.list()) {
      yield { kind: 'blob', digest, size, usedAt, isPinned: pinned, isInUse: this.#uses.has(digest) }
    }
    for (const { digest, size, usedAt } of this.#partials.entries.values()) {
      yield { kind: 'partial', digest, size, usedAt, isPinned: false, isInUse: this.#uses.has(digest) }
    }
  }

  #evictableBytes(): number {
    let bytes = 0
    for (const { size, isPinned, isInUse } of this.#rows()) if (!isPinned && !isInUse) bytes += size
    return bytes
  }

  async #evict({ kind, digest }: Evictable): Promise<void> {
    if (kind === 'partial') return await this.#removePartial(digest)
    const blob = this.#index.get(digest)
    if (blob !== undefined) await this.#removeBlob(blob)
  }

  #check(digest: Digest): void {
    if (!this.#isRunning) throw new ShoalError('STOPPING', 'the store is not running')
    if (digestAlgorithm(digest) === 'sha256') return
    throw new ShoalError('UNSUPPORTED', 'the store holds sha256 blobs only', { detail: { digest } })
  }
}

function unknown(digest: Digest): ShoalError {
  return new ShoalError('BLOB_UNKNOWN', 'the blob is not in the store', { detail: { digest } })
}
