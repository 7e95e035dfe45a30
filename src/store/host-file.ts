import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Abortable } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import { type Digest, digestHex } from '../oci/digest.ts'
import { FileBlobReader } from './blob-reader.ts'

export function hostPath(dir: string, digest: Digest): string {
  return join(dir, 'blobs', 'sha256', digestHex(digest))
}

/** Which file it is and what it holds, as far as its inode tells. */
export function stateOf({ dev, ino, size, mtimeMs }: Stats): string {
  return `${dev}:${ino}:${size}:${mtimeMs}`
}

/** @throws Error of the system call */
export async function openHostFile(path: string): Promise<FileHandle> {
  // Without O_NONBLOCK a FIFO of that name would block a thread for ever.
  return await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
}

/** The file belongs to others: what is read from it counts only if it has not changed since it was checked. */
export class UnchangedFileReader extends FileBlobReader {
  readonly #handle: FileHandle
  readonly #state: string

  constructor(init: { digest: Digest; handle: FileHandle; size: number; state: string }) {
    super({ digest: init.digest, size: init.size, handle: init.handle, onClose: () => {} })
    this.#handle = init.handle
    this.#state = init.state
  }

  override async read(target: Uint8Array, position: number, options: Abortable): Promise<number> {
    const count = await super.read(target, position, options)
    if (stateOf(await this.#handle.stat()) === this.#state) return count
    throw new ShoalError('STORE_FAILED', 'content of the host changed while it was read', {
      detail: { digest: this.digest },
    })
  }
}
