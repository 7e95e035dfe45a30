import { createHash } from 'node:crypto'
import type { Abortable } from '../../src/blob/ports.ts'
import type { CacheStatus, OpenBlob } from '../../src/blob/services.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'

/** Bytes of which every stretch is different from its neighbours. */
export function patternBytes(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  for (let i = 0; i < size; i += 1) bytes[i] = (i * 31 + (i >> 8) * 17 + (i >> 16) * 7) & 0xff
  return bytes
}

export function sha256Of(bytes: Uint8Array): Digest {
  return digestOf('sha256', createHash('sha256').update(bytes).digest('hex'))
}

export interface FakeBlobReaderInit {
  /** Most bytes one read gives. */
  readonly readBytes?: number
  readonly cacheStatus?: CacheStatus
  /** Runs before each read; may reject, or wait until the signal aborts. */
  readonly beforeRead?: (position: number, signal: AbortSignal) => Promise<void>
}

/** A blob in memory that notes whether it was closed. */
export class FakeBlobReader implements OpenBlob {
  readonly digest: Digest
  readonly size: number
  readonly cacheStatus: CacheStatus
  readonly closed: Promise<void>
  closeCount = 0
  reads = 0
  readonly #bytes: Buffer
  readonly #init: FakeBlobReaderInit
  readonly #onClose: () => void

  constructor(bytes: Buffer, init: FakeBlobReaderInit = {}) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#bytes = bytes
    this.#init = init
    this.digest = sha256Of(bytes)
    this.size = bytes.length
    this.cacheStatus = init.cacheStatus ?? 'hit'
    this.closed = promise
    this.#onClose = resolve
  }

  async read(target: Uint8Array, position: number, { signal }: Abortable): Promise<number> {
    this.reads += 1
    await this.#init.beforeRead?.(position, signal)
    const end = Math.min(position + target.length, position + (this.#init.readBytes ?? Number.POSITIVE_INFINITY))
    return this.#bytes.copy(target, 0, position, end)
  }

  async close(): Promise<void> {
    this.closeCount += 1
    this.#onClose()
  }
}
