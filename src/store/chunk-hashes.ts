/**
 * Hashes of the chunks of complete blobs: from memory, from the blob's chunk map, else computed from its file and kept. A
 * transfer that commits brings them along, so computing is for blobs that came in another way, or whose map is lost.
 *
 * What is given out is proven: the same reading gave the blob's digest. For agents sign it, and are shut out for what is
 * false. Hashes are a function of the digest, so a map that outlives its blob is never wrong. One blob is computed at a
 * time, for whoever waits; when nobody does any more it ends.
 */
import { LRUCache } from 'lru-cache'
import { planChunks } from '../blob/chunk-plan.ts'
import type { Abortable, ChunkHash, StoredBlob } from '../blob/ports.ts'
import { hasCode, ShoalError } from '../errors.ts'
import { type Digest, digestHex } from '../oci/digest.ts'
import type { Logger } from '../util/logger.ts'
import { linkSignals } from '../util/signals.ts'
import { SingleFlight } from '../util/single-flight.ts'
import type { ChunkMapDirectory } from './chunk-map-directory.ts'
import type { HashPool } from './hash-pool.ts'
import { KeyedLock } from './keyed-lock.ts'
import type { Verifiable } from './store-verifier.ts'

/** Hashes in memory, at some 80 bytes each. */
const MAX_REMEMBERED = 16_384

export interface ChunkHashesComponents {
  readonly log: Logger
  readonly hashes: HashPool
  readonly maps: ChunkMapDirectory
  readonly store: Pick<Verifiable, 'withFile' | 'drop'> & {
    /** Runs `work` while nobody removes or stores the digest, if the blob is still there. */
    whileHere(blob: StoredBlob, work: () => Promise<void>): Promise<void>
  }
}

export class ChunkHashes {
  readonly #components: ChunkHashesComponents
  readonly #known = new LRUCache<Digest, readonly ChunkHash[]>({
    maxSize: MAX_REMEMBERED,
    sizeCalculation: (hashes) => hashes.length,
  })
  readonly #finding = new SingleFlight<readonly ChunkHash[] | undefined>()
  readonly #computing = new KeyedLock<'one'>()
  readonly #jobs = new Set<Promise<unknown>>()
  #stopping = new AbortController()

  constructor(components: ChunkHashesComponents) {
    this.#components = components
  }

  start(): void {
    this.#stopping = new AbortController()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new ShoalError('STOPPING', 'the store stops'))
    await Promise.allSettled(this.#jobs)
  }

  /**
   * @returns undefined when the blob turns out to be missing or damaged; it is dropped then
   * @throws ShoalError STORE_FAILED, STOPPING, the signal's reason
   */
  async get(blob: StoredBlob, { signal }: Abortable): Promise<readonly ChunkHash[] | undefined> {
    signal.throwIfAborted()
    if (planChunks(blob.size).count === 1) return [digestHex(blob.digest)]
    const known = this.#known.get(blob.digest)
    if (known !== undefined) return known
    return await this.#finding.run(blob.digest, signal, (shared) => {
      const job = this.#find(blob, shared).finally(() => this.#jobs.delete(job))
      this.#jobs.add(job)
      return job
    })
  }

  /** To be called before anybody can ask for them. */
  remember(digest: Digest, hashes: readonly ChunkHash[]): void {
    this.#known.set(digest, hashes)
  }

  /** Writes the map. Without it they are computed again, so a failure is nobody's. */
  async keep(digest: Digest, size: number, hashes: readonly ChunkHash[]): Promise<void> {
    if (hashes.length === 1) return
    try {
      await this.#components.maps.write(digest, size, hashes)
    } catch (error) {
      this.#components.log.debug({ digest, err: error }, 'a chunk map could not be written')
    }
  }

  async #find(blob: StoredBlob, signal: AbortSignal): Promise<readonly ChunkHash[] | undefined> {
    const { digest, size } = blob
    const hashes = (await this.#read(blob)) ?? (await this.#computing.run('one', () => this.#compute(blob, signal)))
    if (hashes === undefined) return undefined
    this.remember(digest, hashes.list)
    if (hashes.isNew) {
      await this.#components.store.whileHere(blob, () => this.keep(digest, size, hashes.list))
    }
    return hashes.list
  }

  async #read({ digest, size }: StoredBlob): Promise<Found | undefined> {
    try {
      const list = await this.#components.maps.read(digest, size)
      return list && { list, isNew: false }
    } catch (error) {
      this.#components.log.debug({ digest, err: error }, 'a chunk map could not be read')
      return undefined
    }
  }

  async #compute(blob: StoredBlob, signal: AbortSignal): Promise<Found | undefined> {
    const { store, hashes } = this.#components
    using linked = linkSignals([signal, this.#stopping.signal])
    linked.signal.throwIfAborted()
    try {
      const found = await store.withFile(blob, (handle) =>
        hashes.hashChunks(handle.fd, planChunks(blob.size), { signal: linked.signal }),
      )
      if (found.hash === digestHex(blob.digest)) return { list: found.chunks, isNew: true }
      await store.drop(blob, 'wrong digest')
      return undefined
    } catch (error) {
      if (hasCode(error, 'BLOB_UNKNOWN')) return undefined
      throw error
    }
  }
}

interface Found {
  readonly list: readonly ChunkHash[]
  readonly isNew: boolean
}
