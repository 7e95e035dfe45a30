/**
 * One blob on its way into the store, for a prewarm. Reads it as a client would, which keeps its transfer alive and lets the
 * origin decide; the bytes go nowhere. Created for one run.
 */
import type { Abortable, Scope } from '../blob/ports.ts'
import type { Blobs } from '../blob/services.ts'
import { ShoalError } from '../errors.ts'
import { raceAbort } from '../util/race-abort.ts'
import type { PlannedBlob } from './image-plan.ts'
import type { Received } from './prewarm-events.ts'

/** A transfer as far as a prewarm looks at it. */
export interface WatchedTransfer {
  readonly ended: Promise<unknown>
  view(): {
    readonly size: number | undefined
    readonly verifiedChunks: number
    readonly chunkBytes: number | undefined
    readonly bytes: { readonly origin: number; readonly peer: number }
  }
}

export interface BlobFetchComponents {
  readonly blobs: Pick<Blobs, 'open'> & { runningTransfer(digest: PlannedBlob['digest']): WatchedTransfer | undefined }
  readonly isStored: (digest: PlannedBlob['digest']) => boolean
}

const READ_BYTES = 256 * 1024

export class BlobFetch {
  readonly blob: PlannedBlob
  readonly #components: BlobFetchComponents
  #size: number | undefined
  #position = 0
  #transfer: WatchedTransfer | undefined

  constructor(components: BlobFetchComponents, blob: PlannedBlob) {
    this.#components = components
    this.blob = blob
    this.#size = blob.size
  }

  get size(): number | undefined {
    return this.#size
  }

  /** How much of it is here. */
  get bytes(): number {
    const view = this.#transfer?.view()
    const verified = (view?.verifiedChunks ?? 0) * (view?.chunkBytes ?? 0)
    const bytes = Math.max(this.#position, verified)
    return this.#size === undefined ? bytes : Math.min(this.#size, bytes)
  }

  get received(): Received {
    const bytes = this.#transfer?.view().bytes
    return { fromOrigin: bytes?.origin ?? 0, fromPeers: bytes?.peer ?? 0 }
  }

  /** @returns whether it was here before. @throws ShoalError, the signal's reason */
  async run(scope: Scope, { signal }: Abortable): Promise<'here' | 'fetched'> {
    const { blobs, isStored } = this.#components
    const { digest } = this.blob
    const reader = await blobs.open(scope, digest, { signal })
    this.#size = reader.size
    try {
      if (reader.cacheStatus === 'hit') {
        this.#position = reader.size
        return 'here'
      }
      this.#transfer = blobs.runningTransfer(digest)
      const target = Buffer.allocUnsafeSlow(Math.max(1, Math.min(READ_BYTES, reader.size)))
      while (this.#position < reader.size) {
        const count = await reader.read(target, this.#position, { signal })
        if (count === 0) throw new ShoalError('ORIGIN_MISBEHAVED', 'the blob ended early', { detail: { digest } })
        this.#position += count
      }
      // the last bytes go out before the commit is on disk
      if (this.#transfer !== undefined) await raceAbort(this.#transfer.ended, signal)
    } finally {
      await reader.close().catch(() => {})
    }
    if (isStored(digest)) return 'fetched'
    throw new ShoalError('STORE_FAILED', 'it was fetched, and could not be stored', { detail: { digest } })
  }
}
