import { type FileHandle, mkdir, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChunkHash } from '../blob/ports.ts'
import type { Digest } from '../oci/digest.ts'
import { chunkMapBytes, encodeChunkMap, parseChunkMap } from './chunk-map.ts'
import { errnoOf } from './file-errors.ts'
import { namesIn } from './names-in.ts'
import { digestOfFileName, type StorePaths } from './store-paths.ts'

/**
 * The directory `maps/`: a file for each complete blob of several chunks. All of it can be computed again, so nothing is
 * synced, and it is not counted: 32 bytes for 256 KiB at most.
 */
export class ChunkMapDirectory {
  readonly #paths: StorePaths
  readonly #shards = new Set<string>()

  constructor(init: { paths: StorePaths }) {
    this.#paths = init.paths
  }

  /** @returns undefined when there is none that is whole */
  async read(digest: Digest, size: number): Promise<readonly ChunkHash[] | undefined> {
    await using handle = await openIfThere(this.#paths.map(digest))
    if (handle === undefined) return undefined
    // A longer file is not ours, however long it is.
    const bytes = Buffer.alloc(chunkMapBytes(size) + 1)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
    return parseChunkMap(bytes.subarray(0, bytesRead), digest, size)
  }

  async write(digest: Digest, size: number, hashes: readonly ChunkHash[]): Promise<void> {
    const shard = this.#paths.mapDir(digest)
    if (!this.#shards.has(shard)) {
      await mkdir(shard, { recursive: true, mode: 0o700 })
      this.#shards.add(shard)
    }
    try {
      await writeFile(this.#paths.map(digest), encodeChunkMap(digest, size, hashes), { mode: 0o600 })
    } catch (error) {
      // Somebody may have removed the directory; the next map makes it again.
      this.#shards.delete(shard)
      throw error
    }
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.#paths.map(digest), { force: true, recursive: true })
  }

  /** Removes the maps of blobs that are gone, and what is no map, as far as the disk can be written to. */
  async sweep(isHere: (digest: Digest) => boolean): Promise<void> {
    for (const shard of await namesIn(this.#paths.maps)) {
      const dir = join(this.#paths.maps, shard)
      for (const name of await namesIn(dir)) {
        const digest = digestOfFileName(name)
        const path = join(dir, name)
        if (digest !== undefined && path === this.#paths.map(digest) && isHere(digest)) continue
        await rm(path, { force: true, recursive: true }).catch(() => {})
      }
    }
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
