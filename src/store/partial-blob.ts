/**
 * A blob on its way in, as a sparse file of its full size and a chunk log beside it.
 *
 * Owns both files. Nothing touches their descriptors after they are closed: ending it waits for every job that uses
 * them, hash threads included. Created by `PartialDirectory`; where it goes when it is committed or discarded is its `home`'s
 * affair.
 */
import type { FileHandle } from 'node:fs/promises'
import { type ChunkPlan, chunkEnd, chunkStart } from '../blob/chunk-plan.ts'
import type { ChunkHash, PartialBlob } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { ChunkLogFile } from './chunk-log-file.ts'
import { storing } from './file-errors.ts'
import type { FileSync } from './file-sync.ts'
import type { HashPool } from './hash-pool.ts'
import { InlineDigest } from './inline-digest.ts'
import type { RunningDigest } from './running-digest.ts'
import type { WriteHealth } from './write-health.ts'

/** What a power cut may cost, and what is left to sync at the end. */
const SYNC_EVERY_BYTES = 64 * 1024 * 1024

/** A chunk up to this size is hashed on the event loop while no thread has started: 1 ms, instead of some 50. */
const MAX_INLINE_BYTES = 1024 * 1024

export interface PartialHome {
  /**
   * Moves the synced file among the blobs and removes the log.
   * @param hashes of all chunks, if the digest was over all of them and matched
   */
  commit(hashes: readonly ChunkHash[] | undefined): Promise<void>
  /** Removes both files, which are closed. */
  discard(): Promise<void>
  /** Nothing uses its files any more. Called once. */
  closed(): void
}

export interface DiskPartialComponents {
  readonly hashes: HashPool
  readonly sync: FileSync
  readonly home: PartialHome
  readonly writes: WriteHealth
}

export interface DiskPartialInit {
  readonly digest: Digest
  readonly plan: ChunkPlan
  readonly handle: FileHandle
  readonly chunkLog: ChunkLogFile
}

type State = 'open' | 'committing' | 'committed' | 'discarded' | 'closed'

export class DiskPartialBlob implements PartialBlob {
  readonly digest: Digest
  readonly plan: ChunkPlan
  readonly #hashes: HashPool
  readonly #sync: FileSync
  readonly #home: PartialHome
  readonly #writes: WriteHealth
  readonly #handle: FileHandle
  readonly #chunkLog: ChunkLogFile
  readonly #running: RunningDigest | InlineDigest
  readonly #jobs = new Set<Promise<unknown>>()
  #state: State = 'open'
  /** Of the bytes that the digest is over, by index. */
  readonly #appendedHashes = new Map<number, ChunkHash>()
  #appended = 0
  #isMatched = false
  #unsynced = 0
  #isSyncing = false
  #syncError: unknown
  #committing: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(components: DiskPartialComponents, init: DiskPartialInit) {
    this.#hashes = components.hashes
    this.#sync = components.sync
    this.#home = components.home
    this.#writes = components.writes
    this.digest = init.digest
    this.plan = init.plan
    this.#handle = init.handle
    this.#chunkLog = init.chunkLog
    const isSmall = init.plan.count === 1
    this.#running = isSmall ? new InlineDigest(init) : components.hashes.runningDigest()
  }

  get claimed(): ReadonlyMap<number, ChunkHash> {
    return this.#chunkLog.claimed
  }

  async write(position: number, buffers: readonly Uint8Array[]): Promise<void> {
    let left = buffers.filter((buffer) => buffer.length > 0)
    const length = left.reduce((sum, buffer) => sum + buffer.length, 0)
    if (!Number.isSafeInteger(position) || position < 0 || position + length > this.plan.size) {
      throw new ShoalError('INTERNAL', 'a write beyond the end of the blob', { detail: { position, length } })
    }
    const writing = async (): Promise<void> => {
      let at = position
      while (left.length > 0) {
        const { bytesWritten } = await this.#handle.writev(left, at)
        at += bytesWritten
        left = without(left, bytesWritten)
      }
    }
    await this.#writes.watchFailure(this.plan.size, () => this.#job('could not write to a partial blob', writing))
    this.#syncInBackground(length)
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (this.#state === 'closed' || this.#state === 'discarded') throw this.#notOpen()
    const length = Math.min(target.length, this.plan.size - position)
    if (length <= 0) return 0
    return await storing('could not read a partial blob', async () => {
      return (await this.#handle.read(target, 0, length, position)).bytesRead
    })
  }

  async hashChunk(index: number): Promise<ChunkHash> {
    const { start, end } = this.#chunk(index)
    return await this.#job('could not hash a chunk', () => {
      const isInline = this.plan.count === 1 || (end - start <= MAX_INLINE_BYTES && !this.#hashes.isReady)
      if (isInline) return new InlineDigest({ handle: this.#handle }).append(this.#handle.fd, start, end)
      return this.#hashes.hashRange(this.#handle.fd, start, end)
    })
  }

  get unsure(): ReadonlySet<number> {
    return this.#chunkLog.unsure
  }

  async appendToDigest(index: number, known?: ChunkHash): Promise<ChunkHash> {
    const { start, end } = this.#chunk(index)
    if (index !== this.#appended) {
      throw new ShoalError('INTERNAL', 'chunks must be appended in order', { detail: { index, next: this.#appended } })
    }
    const hash = await this.#job('could not hash a chunk', () => {
      this.#appended += 1
      return this.#running.append(this.#handle.fd, start, end, known)
    })
    this.#appendedHashes.set(index, hash)
    return hash
  }

  async finishDigest(): Promise<Digest> {
    const hash = await this.#job('could not finish a digest', () => this.#running.finish())
    const digest = digestOf('sha256', hash)
    this.#isMatched = digest === this.digest
    return digest
  }

  restartDigest(): void {
    this.#appended = 0
    this.#appendedHashes.clear()
    this.#isMatched = false
    this.#running.restart()
  }

  async logChunk(index: number, hash: ChunkHash, options: { readonly isSure: boolean }): Promise<void> {
    this.#chunk(index)
    await this.#job('could not write to a chunk log', () => this.#chunkLog.append(index, hash, options))
  }

  /** Reads go on until `close`. */
  async commit(): Promise<void> {
    this.#mustBeOpen()
    this.#state = 'committing'
    this.#committing = this.#commit()
    await this.#committing
  }

  async discard(): Promise<void> {
    this.#mustBeOpen()
    this.#state = 'discarded'
    this.#closing ??= this.#end(async () => true)
    await this.#closing
  }

  close(): Promise<void> {
    this.#closing ??= this.#end(async () => {
      await this.#committing?.catch(() => {})
      const isCommitted = this.#state === 'committed'
      this.#state = 'closed'
      await this.#quiet()
      return !isCommitted && (this.#chunkLog.isEmpty || this.#syncError !== undefined)
    })
    return this.#closing
  }

  async #commit(): Promise<void> {
    try {
      await this.#quiet()
      const committing = async (): Promise<void> => {
        await this.#syncAll()
        await this.#home.commit(this.#provenHashes())
      }
      await this.#writes.watch(this.plan.size, () => storing('could not commit a blob', committing))
      this.#state = 'committed'
      this.#running.drop()
    } catch (error) {
      this.#state = 'open'
      throw error
    }
  }

  #provenHashes(): readonly ChunkHash[] | undefined {
    if (!this.#isMatched || this.#appendedHashes.size < this.plan.count) return undefined
    return [...this.#appendedHashes].sort(([a], [b]) => a - b).map(([, hash]) => hash)
  }

  /** After a failed sync the kernel holds the lost pages for clean: a later sync that succeeds proves nothing. */
  async #syncAll(): Promise<void> {
    try {
      if (this.#syncError !== undefined) throw this.#syncError
      await this.#sync.data(this.#handle)
    } catch (error) {
      this.#syncError = error
      throw error
    }
  }

  #syncInBackground(written: number): void {
    this.#unsynced += written
    if (this.#unsynced < SYNC_EVERY_BYTES || this.#isSyncing || this.#state !== 'open') return
    this.#isSyncing = true
    const covered = this.#unsynced
    const work = async (): Promise<void> => {
      try {
        if (await this.#sync.dataIfIdle(this.#handle)) this.#unsynced -= covered
      } catch (error) {
        this.#syncError ??= error
      } finally {
        this.#isSyncing = false
      }
    }
    void this.#track(work())
  }

  /** @param isWorthless decides, when nothing is written any more, whether the files are removed */
  async #end(isWorthless: () => Promise<boolean>): Promise<void> {
    await storing('could not close a partial blob', async () => {
      try {
        const isRemoved = await isWorthless()
        await this.#quiet()
        this.#running.drop()
        await this.#chunkLog.close()
        await this.#handle.close()
        if (isRemoved) await this.#home.discard()
      } finally {
        this.#home.closed()
      }
    })
  }

  async #job<T>(message: string, work: () => Promise<T>): Promise<T> {
    this.#mustBeOpen()
    return await this.#track(storing(message, work))
  }

  async #track<T>(job: Promise<T>): Promise<T> {
    this.#jobs.add(job)
    try {
      return await job
    } finally {
      this.#jobs.delete(job)
    }
  }

  async #quiet(): Promise<void> {
    while (this.#jobs.size > 0) await Promise.allSettled(this.#jobs)
  }

  #chunk(index: number): { start: number; end: number } {
    if (!Number.isInteger(index) || index < 0 || index >= this.plan.count) {
      throw new ShoalError('INTERNAL', 'no such chunk', { detail: { index, count: this.plan.count } })
    }
    return { start: chunkStart(this.plan, index), end: chunkEnd(this.plan, index) }
  }

  #mustBeOpen(): void {
    if (this.#state !== 'open') throw this.#notOpen()
  }

  #notOpen(): ShoalError {
    return new ShoalError('STORE_FAILED', 'the partial blob takes no more', { detail: { state: this.#state } })
  }
}

/** What is left of `buffers` after their first `count` bytes. */
function without(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count
  const left: Uint8Array[] = []
  for (const buffer of buffers) {
    if (skip >= buffer.length) skip -= buffer.length
    else {
      left.push(buffer.subarray(skip))
      skip = 0
    }
  }
  return left
}
