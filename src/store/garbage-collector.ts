/**
 * Keeps the store within its quota and within what the disk has. Owns the room that is promised to blobs which are not
 * counted yet. What goes is the policy of `victims`; between choosing and forgetting there is no await, so two calls
 * never choose the same victim.
 */
import { ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { chooseVictims, type Evictable, isStale, sumBytes } from './victims.ts'

/** Evicting goes on to this share of the limit, so that not every new blob has to evict. */
const LOW_WATER = 0.95

/** What the collector collects from. */
export interface Collectable {
  /** Bytes of all blobs and, at their full size, all partial blobs. */
  readonly bytes: number
  rows(): Iterable<Evictable>
  /** Forgets it at once and removes it from the disk. */
  evict(row: Evictable): Promise<void>
  /** Bytes the file system has for us; undefined if it does not say. */
  freeBytes(): Promise<number | undefined>
}

export interface CollectorComponents {
  readonly log: Logger
  readonly clock: Clock
  readonly store: Collectable
}

export interface Collected {
  readonly removed: readonly { readonly kind: 'blob' | 'partial'; readonly digest: Digest; readonly size: number }[]
  readonly freedBytes: number
}

export class GarbageCollector {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #store: Collectable
  #quotaBytes: number
  #promised = 0
  #evictedBlobs = 0
  #evictedBytes = 0

  constructor(components: CollectorComponents, init: { quotaBytes: number }) {
    this.#log = components.log
    this.#clock = components.clock
    this.#store = components.store
    this.#quotaBytes = init.quotaBytes
  }

  get quotaBytes(): number {
    return this.#quotaBytes
  }

  /** What is too much then goes with `collect`. */
  set quotaBytes(bytes: number) {
    this.#quotaBytes = bytes
  }

  /** What had to go since the start. */
  get evicted(): { readonly blobs: number; readonly bytes: number } {
    return { blobs: this.#evictedBlobs, bytes: this.#evictedBytes }
  }

  /**
   * Evicts until `bytes` more fit. They stay promised until the result is disposed: count them before.
   * @throws ShoalError STORE_FULL when they can't be made to fit; nothing is evicted then
   */
  async makeRoom(bytes: number): Promise<Disposable> {
    if (bytes > this.#quotaBytes) throw this.#full('the blob is larger than the quota', { bytes })
    const free = await this.#store.freeBytes()
    const used = this.#store.bytes + this.#promised
    const limit = Math.min(this.#quotaBytes, used + (free ?? Number.POSITIVE_INFINITY))
    if (used + bytes > limit) await this.#evict(bytes, used, limit)
    else this.#promised += bytes
    return {
      [Symbol.dispose]: () => {
        this.#promised -= bytes
      },
    }
  }

  /**
   * Removes partial blobs that nobody took up for seven days, then the least recently used until at most `keepBytes` (by default the
   * quota) are left, as far as nothing is pinned or in use.
   */
  async collect(options: { readonly keepBytes?: number | undefined } = {}): Promise<Collected> {
    const now = this.#clock()
    const keepBytes = options.keepBytes ?? this.#quotaBytes
    const rows = [...this.#store.rows()]
    const stale = rows.filter((row) => isStale(row, now))
    const need = Math.max(this.#store.bytes + this.#promised - keepBytes, sumBytes(stale.filter((row) => !row.isInUse)))
    const victims = need > 0 ? chooseVictims(rows, need, now) : []
    await this.#remove(victims)
    const removed = victims.map(({ kind, digest, size }) => ({ kind, digest, size }))
    return { removed, freedBytes: sumBytes(victims) }
  }

  async #evict(bytes: number, used: number, limit: number): Promise<void> {
    const need = used + bytes - limit
    const wanted = Math.max(need, used + bytes - limit * LOW_WATER)
    const victims = chooseVictims(this.#store.rows(), wanted, this.#clock())
    if (sumBytes(victims) < need) {
      const byDisk = limit < this.#quotaBytes ? { freeBytes: limit - used } : {}
      throw this.#full('nothing more can be evicted', { bytes, ...byDisk })
    }
    this.#promised += bytes
    try {
      await this.#remove(victims)
    } catch (error) {
      this.#promised -= bytes
      throw error
    }
  }

  async #remove(victims: readonly Evictable[]): Promise<void> {
    if (victims.length === 0) return
    await Promise.all(victims.map((row) => this.#store.evict(row)))
    this.#evictedBlobs += victims.length
    this.#evictedBytes += sumBytes(victims)
    this.#log.info({ blobs: victims.length, bytes: sumBytes(victims) }, 'evicted from the store')
  }

  /** @param detail with `freeBytes` where it is the disk that has too little */
  #full(message: string, detail: { bytes: number; freeBytes?: number }): ShoalError {
    return new ShoalError('STORE_FULL', message, { detail: { ...detail, quotaBytes: this.#quotaBytes } })
  }
}
