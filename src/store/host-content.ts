import type { Stats } from 'node:fs'
import { access, type FileHandle } from 'node:fs/promises'
import type { Abortable, BlobReader } from '../blob/ports.ts'
import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { SingleFlight } from '../util/single-flight.ts'
import { errnoOf } from './file-errors.ts'
import type { HashPool } from './hash-pool.ts'
import { hostPath, openHostFile, stateOf, UnchangedFileReader } from './host-file.ts'
import { ProvenFiles } from './proven-files.ts'

const MAX_REMEMBERED = 10_000

/**
 * Content that others keep on this host: directories with `blobs/sha256/<hex>`, as containerd's content directory and OCI
 * layouts are. Only read. A file is hashed as a whole before its first use, and again when it has changed since.
 */
export class HostContent {
  /** What turned out good, for whoever shares it. */
  readonly proven = new ProvenFiles()
  readonly #log: Logger
  readonly #hashes: HashPool
  readonly #dirs: readonly string[]
  /** By path and state of the file: whether it has its digest. */
  readonly #checked = lru<string, boolean>(MAX_REMEMBERED)
  readonly #checking = new SingleFlight<boolean>()

  constructor(components: { log: Logger; hashes: HashPool }, init: { dirs: readonly string[] }) {
    this.#log = components.log
    this.#hashes = components.hashes
    this.#dirs = init.dirs
  }

  /** @returns undefined when no directory has it. @throws ShoalError STORE_FAILED, STOPPING, the signal's reason */
  async open(digest: Digest, { signal }: Abortable): Promise<BlobReader | undefined> {
    if (digestAlgorithm(digest) !== 'sha256') return undefined
    for (const dir of this.#dirs) {
      const reader = await this.#openIn(dir, digest, signal)
      if (reader !== undefined) return reader
    }
    return undefined
  }

  /** Whether a directory has a file of that name, good or not. */
  async has(digest: Digest): Promise<boolean> {
    if (digestAlgorithm(digest) !== 'sha256') return false
    const looks = this.#dirs.map((dir) => access(hostPath(dir, digest)))
    return (await Promise.allSettled(looks)).some((look) => look.status === 'fulfilled')
  }

  async #openIn(dir: string, digest: Digest, signal: AbortSignal): Promise<BlobReader | undefined> {
    const path = hostPath(dir, digest)
    const handle = await this.#openFile(path)
    if (handle === undefined) return undefined
    try {
      const stat = await handle.stat()
      if (stat.isFile() && (await this.#isGood(path, stat, digest, signal))) {
        // The check read the path, so what was opened here counts only if it is the same, unchanged file.
        const now = await handle.stat()
        const file = { path, state: stateOf(stat), size: stat.size }
        if (stateOf(now) === file.state) {
          this.proven.add(digest, file)
          return new UnchangedFileReader({ digest, handle, ...file })
        }
      }
    } catch (error) {
      await handle.close()
      throw error
    }
    await handle.close()
    return undefined
  }

  async #isGood(path: string, stat: Stats, digest: Digest, signal: AbortSignal): Promise<boolean> {
    const key = `${path} ${stateOf(stat)}`
    const known = this.#checked.get(key)
    if (known !== undefined) return known
    return await this.#checking.run(key, signal, async (jobSignal) => {
      const hash = await this.#hashFile(path, stat, jobSignal)
      if (hash === undefined) return false
      const isGood = hash === digestHex(digest)
      if (!isGood) this.#log.warn({ path, digest }, 'content of the host does not have its digest and is not used')
      this.#checked.set(key, isGood)
      return isGood
    })
  }

  /** Opens the file by itself: it may be closed by a caller who left while others still wait. */
  async #hashFile(path: string, expected: Stats, signal: AbortSignal): Promise<string | undefined> {
    const handle = await this.#openFile(path)
    if (handle === undefined) return undefined
    try {
      if (stateOf(await handle.stat()) !== stateOf(expected)) return undefined
      const hash = await this.#hashes.hashFile(handle.fd, expected.size, { signal })
      return stateOf(await handle.stat()) === stateOf(expected) ? hash : undefined
    } finally {
      await handle.close()
    }
  }

  async #openFile(path: string): Promise<FileHandle | undefined> {
    try {
      return await openHostFile(path)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') this.#log.debug({ path, err: error }, 'content of the host cannot be read')
      return undefined
    }
  }
}
