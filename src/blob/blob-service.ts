/**
 * Blobs by digest: from the store, from the host's own content stores, from a transfer that runs, or from a new one.
 * Owns the transfers: one per digest.
 */
import { LRUCache } from 'lru-cache'
import { hasCode, ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { raceAbort } from '../util/race-abort.ts'
import type { Access } from './access.ts'
import { PassThroughReader } from './pass-through-reader.ts'
import type { Abortable, BlobReader, BlobStore, Origin, Scope, TransferMetrics } from './ports.ts'
import { RescuedReader } from './rescued-reader.ts'
import type { BlobOrigin, Blobs, OpenBlob } from './services.ts'
import { type Outcome, Transfer } from './transfer.ts'

export interface BlobServiceComponents {
  readonly store: BlobStore
  /** Blobs that other programs keep on this host: read, never written. */
  readonly hostContent: { open(digest: Digest, options: Abortable): Promise<BlobReader | undefined> }
  readonly origin: Origin
  readonly access: Access
  readonly metrics: TransferMetrics
  readonly clock: Clock
  readonly log: Logger
}

/** So many mismatches of one blob within the time, and it is refused at once: clients lose a minute on each. */
const MAX_MISMATCHES = 2
const MISMATCH_MEMORY_MS = 60_000
const MAX_MISMATCHED = 1_000

export interface RunningTransfer {
  readonly digest: Digest
  readonly size: number | undefined
  readonly verifiedChunks: number
  readonly chunks: number
  readonly readers: number
}

export class BlobService implements Blobs {
  readonly #components: BlobServiceComponents
  readonly #transfers = new Map<Digest, Transfer>()
  readonly #mismatches = new LRUCache<Digest, number>({ max: MAX_MISMATCHED, ttl: MISMATCH_MEMORY_MS })

  constructor(components: BlobServiceComponents) {
    this.#components = components
  }

  async open(scope: Scope, digest: Digest, options: Abortable): Promise<OpenBlob> {
    if (digestAlgorithm(digest) !== 'sha256') return this.#passThrough(scope, digest, options)
    const held = await this.#openHeld(scope, digest, options)
    if (held !== undefined) return held
    if ((this.#mismatches.get(digest) ?? 0) >= MAX_MISMATCHES) {
      throw new ShoalError('DIGEST_MISMATCH', 'the origin sent other bytes again and again', { detail: { digest } })
    }
    try {
      const reader = await this.#openTransfer(scope, digest, options)
      return new RescuedReader(
        { log: this.#components.log, rescue: (late) => this.#passThrough(scope, digest, late) },
        marked(reader, 'miss'),
      )
    } catch (error) {
      this.#components.access.refused(scope, error)
      if (!hasCode(error, 'STORE_FULL', 'STORE_FAILED')) throw error
      this.#components.log.warn({ digest, err: error }, 'the blob cannot be stored, passing it through')
      return this.#passThrough(scope, digest, options)
    }
  }

  async stat(scope: Scope, digest: Digest, options: Abortable): Promise<{ readonly size: number }> {
    const { store, access, origin } = this.#components
    const stored = store.stat(digest)
    if (stored !== undefined) {
      await access.ensure(scope, digest, 'blob', options)
      return { size: stored.size }
    }
    try {
      const size = await origin.checkBlob(scope, digest, options)
      access.admitted(scope, [digest])
      if (size !== undefined) return { size }
    } catch (error) {
      access.refused(scope, error)
      throw error
    }
    const blob = await this.open(scope, digest, options)
    await blob.close()
    return { size: blob.size }
  }

  /** Whether every byte of the blob is in the store. */
  has(digest: Digest): boolean {
    return this.#components.store.stat(digest) !== undefined
  }

  list(): RunningTransfer[] {
    return [...this.#transfers.values()].map((transfer) => ({
      digest: transfer.digest,
      size: transfer.size,
      verifiedChunks: transfer.progress.verified,
      chunks: transfer.progress.count,
      readers: transfer.readerCount,
    }))
  }

  /** Ends all transfers; what has arrived is kept. */
  async stop(): Promise<void> {
    await Promise.all([...this.#transfers.values()].map((transfer) => transfer.stop()))
  }

  async #openHeld(scope: Scope, digest: Digest, options: Abortable): Promise<OpenBlob | undefined> {
    const { store, access, hostContent } = this.#components
    if (store.stat(digest) !== undefined) {
      if (!access.isKnown(scope, digest)) await access.ensure(scope, digest, 'blob', options)
      try {
        return marked(await store.open(digest), 'hit')
      } catch (error) {
        if (!hasCode(error, 'BLOB_UNKNOWN', 'STORE_FAILED')) throw error
        this.#components.log.warn({ digest, err: error }, 'a stored blob cannot be opened')
      }
    }
    if (this.#transfers.has(digest)) return undefined
    const found = await hostContent.open(digest, options)
    if (found === undefined) return undefined
    try {
      if (!access.isKnown(scope, digest)) await access.ensure(scope, digest, 'blob', options)
      return marked(found, 'hit')
    } catch (error) {
      await found.close()
      throw error
    }
  }

  async #openTransfer(scope: Scope, digest: Digest, options: Abortable): Promise<BlobReader> {
    const { access, origin, store } = this.#components
    for (;;) {
      const kept = await store.partialSize(digest)
      if (kept !== undefined || this.#transfers.has(digest)) {
        // Bytes are here that this client did not cause to come: it must be allowed to have them.
        if (!access.isKnown(scope, digest)) await access.ensure(scope, digest, 'blob', options)
      }
      const running = this.#transfers.get(digest)
      if (running === undefined) return this.#start(scope, digest, kept, options)
      const isReady = await raceAbort(running.ready().then(always, never), options.signal)
      if (isReady && this.#transfers.get(digest) === running) {
        running.addSource(origin.blobSource(scope, digest))
        return running.openReader()
      }
      if (store.stat(digest) !== undefined) return store.open(digest)
    }
  }

  async #start(scope: Scope, digest: Digest, kept: number | undefined, { signal }: Abortable): Promise<BlobReader> {
    const { access, origin, store, clock, log, metrics } = this.#components
    const onEnd = (outcome: Outcome): void => {
      this.#transfers.delete(digest)
      if (outcome === 'mismatched') this.#mismatches.set(digest, (this.#mismatches.get(digest) ?? 0) + 1)
    }
    const transfer = new Transfer({ store, clock, log, metrics }, { digest, onEnd })
    this.#transfers.set(digest, transfer)
    await raceAbort(transfer.begin(origin.blobSource(scope, digest), kept), signal)
    if (kept === undefined) access.admitted(scope, [digest])
    return transfer.openReader()
  }

  async #passThrough(scope: Scope, digest: Digest, options: Abortable): Promise<OpenBlob> {
    const { origin, access, metrics } = this.#components
    const reader = await PassThroughReader.open(digest, origin.blobSource(scope, digest), options)
    access.admitted(scope, [digest])
    metrics.passedThrough()
    return reader
  }
}

function marked(reader: BlobReader, origin: BlobOrigin): OpenBlob {
  return {
    digest: reader.digest,
    size: reader.size,
    origin,
    read: (target, position, options) => reader.read(target, position, options),
    close: () => reader.close(),
  }
}

const always = (): boolean => true
const never = (): boolean => false
