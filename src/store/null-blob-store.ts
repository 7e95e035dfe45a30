import type { BlobReader, PartialBlob, StoredBlob } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import type { Collected } from './garbage-collector.ts'
import type { ManagedBlobStore, StoreUsage, VerifyEvent } from './managed-blob-store.ts'

/** Stands in for a store whose directory cannot be used: it holds nothing and takes nothing, so everything passes through. */
export class NullBlobStore implements ManagedBlobStore {
  readonly usage: StoreUsage = {
    quotaBytes: 0,
    blobs: 0,
    blobBytes: 0,
    partials: 0,
    partialBytes: 0,
    evictedBlobs: 0,
    evictedBytes: 0,
    writeFailures: 0,
  }

  readonly isWritable = false
  readonly unusable: string

  /** @param error why the directory cannot be used */
  constructor({ message, cause }: Error) {
    const reason = cause instanceof Error ? cause.message : ''
    this.unusable = message.includes(reason) ? message : `${message}: ${reason}`
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  stat(): StoredBlob | undefined {
    return undefined
  }

  open(): Promise<BlobReader> {
    return Promise.reject(new ShoalError('BLOB_UNKNOWN', 'there is no store'))
  }

  put(): Promise<void> {
    return Promise.reject(new ShoalError('STORE_FULL', 'there is no store'))
  }

  async chunkHashes(): Promise<undefined> {
    return undefined
  }

  subscribe(): () => void {
    return () => {}
  }

  partialSize(): number | undefined {
    return undefined
  }

  openPartial(): Promise<PartialBlob> {
    return Promise.reject(new ShoalError('STORE_FULL', 'there is no store'))
  }

  list(): StoredBlob[] {
    return []
  }

  async remove(): Promise<number | undefined> {
    return undefined
  }

  pin(): boolean {
    return false
  }

  async *verify(): AsyncGenerator<VerifyEvent> {
    yield { step: 'started', blobs: 0, bytes: 0 }
    yield { step: 'finished', good: 0, damaged: 0, unchecked: 0 }
  }

  async setQuota(): Promise<void> {}

  async collect(): Promise<Collected> {
    return { removed: [], freedBytes: 0 }
  }
}
