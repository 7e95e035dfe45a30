import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import type { Digest } from '../oci/digest.ts'
import { errnoOf } from './file-errors.ts'
import type { FileSync } from './file-sync.ts'
import type { StorePaths } from './store-paths.ts'

/** The directory `blobs/`. A file comes into it by a rename, when all its bytes are synced. */
export class BlobDirectory {
  readonly #sync: FileSync
  readonly #paths: StorePaths
  readonly #shards = new Set<string>()

  constructor(components: { sync: FileSync }, init: { paths: StorePaths }) {
    this.#sync = components.sync
    this.#paths = init.paths
  }

  /** @returns undefined when there is no such file, or not one of `size` bytes */
  async open(digest: Digest, size: number): Promise<FileHandle | undefined> {
    let handle: FileHandle
    try {
      handle = await open(this.#paths.blob(digest), 'r')
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
    try {
      const stat = await handle.stat()
      if (stat.isFile() && stat.size === size) return handle
    } catch (error) {
      await handle.close()
      throw error
    }
    await handle.close()
    return undefined
  }

  async write(digest: Digest, bytes: Uint8Array): Promise<void> {
    const temporary = this.#paths.temporary(digest)
    try {
      await using handle = await open(temporary, 'w', 0o600)
      await handle.writeFile(bytes)
      await this.#sync.data(handle)
      await this.moveIn(digest, temporary)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw error
    }
  }

  /** @param path of a synced file on the same file system */
  async moveIn(digest: Digest, path: string): Promise<void> {
    const shard = this.#paths.blobDir(digest)
    if (!this.#shards.has(shard)) {
      await mkdir(shard, { recursive: true, mode: 0o700 })
      await this.#sync.directory(this.#paths.blobs)
      this.#shards.add(shard)
    }
    try {
      await rename(path, this.#paths.blob(digest))
    } catch (error) {
      // Somebody may have removed the directory; the next blob makes it again.
      this.#shards.delete(shard)
      throw error
    }
  }

  /** After it, the blob's name outlasts a power cut. */
  async syncName(digest: Digest): Promise<void> {
    await this.#sync.directory(this.#paths.blobDir(digest))
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.#paths.blob(digest), { force: true })
  }
}
