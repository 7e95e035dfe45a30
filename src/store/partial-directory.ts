import { type FileHandle, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import { LOG_HEADER_BYTES, LOG_RECORD_BYTES, parseChunkLog } from './chunk-log.ts'
import { type ChunkLogFile, createChunkLog, reopenChunkLog } from './chunk-log-file.ts'
import { errnoOf } from './file-errors.ts'
import { digestOfFileName, type StorePaths } from './store-paths.ts'

export interface PartialEntry {
  readonly digest: Digest
  /** Bytes of the whole blob: what the file takes up at the end. */
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly usedAt: number
  /** Whether the log claims any chunk. */
  readonly hasChunks: boolean
}

export interface PartialFiles {
  readonly handle: FileHandle
  readonly chunkLog: ChunkLogFile
}

/** The directory `partial/`: a data file and a chunk log for each blob that is not complete. */
export class PartialDirectory {
  readonly #clock: Clock
  readonly #paths: StorePaths
  readonly #entries = new Map<Digest, PartialEntry>()
  #bytes = 0

  constructor(components: { clock: Clock }, init: { paths: StorePaths }) {
    this.#clock = components.clock
    this.#paths = init.paths
  }

  /** All partial blobs, counted at their full size. */
  get bytes(): number {
    return this.#bytes
  }

  get entries(): ReadonlyMap<Digest, PartialEntry> {
    return this.#entries
  }

  /** Finds what an earlier run left and removes what nothing can be made of, if the disk can be written to. */
  async scan(): Promise<void> {
    const names = await readdir(this.#paths.partials)
    const digests = new Set<Digest>()
    for (const name of names) {
      const digest = digestOfFileName(name.replace(/\.(?:chunks|tmp)$/, ''))
      if (digest === undefined) continue
      if (name.endsWith('.tmp')) await rm(join(this.#paths.partials, name), { force: true }).catch(() => {})
      else digests.add(digest)
    }
    for (const digest of digests) {
      const entry = await this.#inspect(digest)
      if (entry === undefined) await this.remove(digest).catch(() => {})
      else this.#set(entry)
    }
  }

  /**
   * Opens the files of an earlier run if that is wanted and they are of this size, else new ones. Whoever calls it makes sure that one
   * digest is open once at a time.
   */
  async take(digest: Digest, size: number, takeUp: boolean): Promise<PartialFiles> {
    const found = takeUp && this.#entries.has(digest) ? await this.#reopen(digest, size) : undefined
    const files = found ?? (await this.#create(digest, size))
    this.#set({ digest, size, usedAt: this.#clock(), hasChunks: !files.chunkLog.isEmpty })
    return files
  }

  /** To be called when it was closed and stays: it can be taken up again. */
  kept(digest: Digest): void {
    const entry = this.#entries.get(digest)
    if (entry !== undefined) this.#set({ ...entry, usedAt: this.#clock(), hasChunks: true })
  }

  /** Removes both files. @returns bytes that this frees at most */
  async remove(digest: Digest): Promise<number> {
    const size = this.forget(digest)
    // The log last: data without a log is dropped at the next start, a log without data as well.
    await rm(this.#paths.partial(digest), { force: true })
    await rm(this.#paths.chunkLog(digest), { force: true })
    return size
  }

  /** Forgets what has become a blob, or is about to be removed. @returns bytes it was counted with */
  forget(digest: Digest): number {
    const size = this.#entries.get(digest)?.size ?? 0
    this.#entries.delete(digest)
    this.#bytes -= size
    return size
  }

  async #reopen(digest: Digest, size: number): Promise<PartialFiles | undefined> {
    const chunkLog = await reopenChunkLog(this.#paths.chunkLog(digest), digest, size)
    if (chunkLog === undefined) return undefined
    try {
      const handle = await open(this.#paths.partial(digest), 'r+')
      const stat = await handle.stat()
      if (stat.isFile() && stat.size === size) return { handle, chunkLog }
      await handle.close()
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') {
        await chunkLog.close()
        throw error
      }
    }
    await chunkLog.close()
    return undefined
  }

  /** Both files at once and without looking for old ones: a client waits for its first byte. */
  async #create(digest: Digest, size: number): Promise<PartialFiles> {
    const [data, log] = await Promise.allSettled([
      this.#createData(digest, size),
      createChunkLog(this.#paths.chunkLog(digest), digest, size),
    ])
    if (data.status === 'fulfilled' && log.status === 'fulfilled') return { handle: data.value, chunkLog: log.value }
    if (data.status === 'fulfilled') await data.value.close()
    if (log.status === 'fulfilled') await log.value.close()
    await this.remove(digest).catch(() => {})
    throw data.status === 'rejected' ? data.reason : (log as PromiseRejectedResult).reason
  }

  async #createData(digest: Digest, size: number): Promise<FileHandle> {
    const handle = await open(this.#paths.partial(digest), 'w+', 0o600)
    try {
      await handle.truncate(size)
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async #inspect(digest: Digest): Promise<PartialEntry | undefined> {
    const header = Buffer.alloc(LOG_HEADER_BYTES)
    try {
      await using log = await open(this.#paths.chunkLog(digest), 'r')
      await using data = await open(this.#paths.partial(digest), 'r')
      await log.read(header, 0, header.length, 0)
      const [logStat, dataStat] = [await log.stat(), await data.stat()]
      const parsed = parseChunkLog(header)
      if (parsed?.digest !== digest || parsed.size !== dataStat.size) return undefined
      if (logStat.size < LOG_HEADER_BYTES + LOG_RECORD_BYTES) return undefined
      return { digest, size: parsed.size, usedAt: Math.max(logStat.mtimeMs, dataStat.mtimeMs), hasChunks: true }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  #set(entry: PartialEntry): void {
    this.forget(entry.digest)
    this.#entries.set(entry.digest, entry)
    this.#bytes += entry.size
  }
}
