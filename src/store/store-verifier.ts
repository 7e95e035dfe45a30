import type { FileHandle } from 'node:fs/promises'
import type { Abortable, StoredBlob } from '../blob/ports.ts'
import { hasCode } from '../errors.ts'
import { digestHex } from '../oci/digest.ts'
import { errnoOf } from './file-errors.ts'
import type { HashPool } from './hash-pool.ts'
import type { DamageReason, VerifyEvent } from './managed-blob-store.ts'

/** What `verifyStore` needs of a store. */
export interface Verifiable {
  list(): StoredBlob[]
  /** Whether it is still the same blob: not evicted meanwhile. */
  holds(blob: StoredBlob): boolean
  /** Runs `work` with the blob's file. @throws ShoalError BLOB_UNKNOWN when it is missing or of the wrong length */
  withFile<T>(blob: StoredBlob, work: (handle: FileHandle) => Promise<T>): Promise<T>
  drop(blob: StoredBlob, reason: DamageReason): Promise<void>
}

/** Hashes every blob again. @throws the signal's reason */
export async function* verifyStore(
  components: { readonly store: Verifiable; readonly hashes: HashPool },
  { signal }: Abortable,
): AsyncGenerator<VerifyEvent> {
  const { store, hashes } = components
  const blobs = store.list()
  yield { step: 'started', blobs: blobs.length, bytes: blobs.reduce((sum, blob) => sum + blob.size, 0) }
  const counts = { good: 0, damaged: 0, unchecked: 0 }
  for (const blob of blobs) {
    signal.throwIfAborted()
    if (!store.holds(blob)) continue
    const event = await check(store, hashes, blob, signal)
    if (event.step === 'damaged') await store.drop(blob, event.reason)
    counts[event.step] += 1
    yield event
  }
  yield { step: 'finished', ...counts }
}

async function check(
  store: Verifiable,
  hashes: HashPool,
  blob: StoredBlob,
  signal: AbortSignal,
): Promise<Extract<VerifyEvent, { digest: unknown }>> {
  const { digest, size } = blob
  try {
    const hash = await store.withFile(blob, (handle) => hashes.hashFile(handle.fd, size, { signal }))
    if (hash === digestHex(digest)) return { step: 'good', digest, size }
    return { step: 'damaged', digest, size, reason: 'wrong digest' }
  } catch (error) {
    if (signal.aborted || hasCode(error, 'STOPPING')) throw error
    if (hasCode(error, 'BLOB_UNKNOWN')) {
      return { step: 'damaged', digest, size, reason: 'missing or of the wrong length' }
    }
    const cause = error instanceof Error ? (error.cause ?? error) : error
    if (errnoOf(cause) === 'EIO') return { step: 'damaged', digest, size, reason: 'unreadable' }
    return { step: 'unchecked', digest, size, error: cause instanceof Error ? cause.message : String(cause) }
  }
}
