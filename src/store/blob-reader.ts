import type { FileHandle } from 'node:fs/promises'
import type { Abortable, BlobReader } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { storing, toStoreError } from './file-errors.ts'

export interface FileReaderInit {
  readonly digest: Digest
  readonly size: number
  readonly handle: FileHandle
  /** Called once, when the file is closed. */
  readonly onClose: () => void
}

/** Reads a complete blob from its file, which may have lost its name since. */
export class FileBlobReader implements BlobReader {
  readonly digest: Digest
  readonly size: number
  readonly #handle: FileHandle
  readonly #onClose: () => void
  #closing: Promise<void> | undefined

  constructor(init: FileReaderInit) {
    this.digest = init.digest
    this.size = init.size
    this.#handle = init.handle
    this.#onClose = init.onClose
  }

  async read(target: Uint8Array, position: number, { signal }: Abortable): Promise<number> {
    signal.throwIfAborted()
    const length = Math.min(target.length, this.size - position)
    if (length <= 0) return 0
    let count: number
    try {
      count = (await this.#handle.read(target, 0, length, position)).bytesRead
    } catch (error) {
      throw toStoreError(error, 'could not read a blob')
    }
    if (count > 0) return count
    throw new ShoalError('STORE_FAILED', 'the file of a blob ends early', { detail: { digest: this.digest, position } })
  }

  close(): Promise<void> {
    this.#closing ??= storing('could not close a blob', () => this.#handle.close()).finally(this.#onClose)
    return this.#closing
  }
}
