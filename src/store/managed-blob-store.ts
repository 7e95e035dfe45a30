import type { Abortable, BlobStore, StoredBlob } from '../blob/ports.ts'
import type { Digest } from '../oci/digest.ts'
import type { Collected } from './garbage-collector.ts'

export interface StoreUsage {
  readonly quotaBytes: number
  readonly blobs: number
  readonly blobBytes: number
  readonly partials: number
  /** Counted at their full size. */
  readonly partialBytes: number
  /** Since the start: what had to make room, and how often the disk did not take what was to be written. */
  readonly evictedBlobs: number
  readonly evictedBytes: number
  readonly writeFailures: number
}

/** What `verify` says, in this order: one `started`, one of the others for each blob, one `finished`. */
export type VerifyEvent =
  | { readonly step: 'started'; readonly blobs: number; readonly bytes: number }
  | { readonly step: 'good'; readonly digest: Digest; readonly size: number }
  | { readonly step: 'damaged'; readonly digest: Digest; readonly size: number; readonly reason: DamageReason }
  /** It could not be checked and stays. */
  | { readonly step: 'unchecked'; readonly digest: Digest; readonly size: number; readonly error: string }
  | { readonly step: 'finished'; readonly good: number; readonly damaged: number; readonly unchecked: number }

export type DamageReason = 'missing or of the wrong length' | 'wrong digest' | 'unreadable'

/** A store as the agent runs it and its operator sees it. */
export interface ManagedBlobStore extends BlobStore, AsyncDisposable {
  readonly usage: StoreUsage
  /** False while the disk takes no blobs: after it refused one, or it is full or can't be written, as it was seconds ago. */
  readonly isWritable: boolean
  /** Why the directory can't be used at all, so that nothing is stored whatever the disk has room for. */
  readonly unusable?: string
  /** @throws ShoalError STORE_FULL, STORE_FAILED when the directory cannot be used at all */
  start(): Promise<void>
  /** Readers and partial blobs must be closed before. */
  stop(): Promise<void>
  list(): StoredBlob[]
  /** Also what is pinned; readers that have it open read on. @returns bytes freed, undefined when it was not here */
  remove(digest: Digest): Promise<number | undefined>
  /** What is pinned is not evicted. @returns whether the blob is here */
  pin(digest: Digest, pinned: boolean): boolean
  /** Hashes every blob and drops what is damaged. */
  verify(options: Abortable): AsyncIterable<VerifyEvent>
  /** Holds at once; resolves when what is too much is gone, as far as it may go. @throws ShoalError STORE_FAILED */
  setQuota(quotaBytes: number): Promise<void>
  /** `shoal gc`. @param options.keepBytes how much may stay, by default the quota */
  collect(options?: { readonly keepBytes?: number | undefined }): Promise<Collected>
}
