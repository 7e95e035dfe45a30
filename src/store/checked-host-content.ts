/**
 * Content of the host as peers may have it: only files that were hashed here before, for what this agent gives away it
 * answers for. A client that had it proves a file, and so does a check in the background, which the first peer that asks
 * starts; nothing else is looked at, for there may be terabytes of it. One file is hashed at a time.
 */
import type { FileHandle } from 'node:fs/promises'
import { planChunks } from '../blob/chunk-plan.ts'
import type { Abortable, BlobReader, ChunkHash, ContentEvents } from '../blob/ports.ts'
import type { CheckedContent } from '../blob/shared-content.ts'
import { ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { linkSignals } from '../util/signals.ts'
import { SingleFlight } from '../util/single-flight.ts'
import { errnoOf, storing } from './file-errors.ts'
import type { HashPool } from './hash-pool.ts'
import { hostPath, openHostFile, stateOf, UnchangedFileReader } from './host-file.ts'
import { KeyedLock } from './keyed-lock.ts'
import type { ProvenFile, ProvenFiles } from './proven-files.ts'

const MAX_REMEMBERED = 10_000
/** Checks that wait for their turn; what is asked for beyond that is not looked at. */
const MAX_WAITING = 64
/** What a check did not find is not looked for again so soon. */
const MISSED_MS = 60_000

export interface CheckedHostContentComponents {
  readonly log: Logger
  readonly hashes: HashPool
  readonly proven: ProvenFiles
}

export class CheckedHostContent implements CheckedContent, AsyncDisposable {
  readonly #log: Logger
  readonly #hashes: HashPool
  readonly #proven: ProvenFiles
  readonly #dirs: readonly string[]
  readonly #proving = new SingleFlight<ProvenFile | undefined>()
  readonly #turn = new KeyedLock<'one'>()
  readonly #waiting = new Map<Digest, Promise<void>>()
  readonly #missed = lru<Digest, true>(MAX_REMEMBERED, { ttl: MISSED_MS })
  /** By path and state. */
  readonly #damaged = lru<string, true>(MAX_REMEMBERED)
  readonly #stopping = new AbortController()

  constructor(components: CheckedHostContentComponents, init: { dirs: readonly string[] }) {
    this.#log = components.log
    this.#hashes = components.hashes
    this.#proven = components.proven
    this.#dirs = init.dirs
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new ShoalError('STOPPING', 'the agent stops'))
    await Promise.all(this.#waiting.values())
    await this.#turn.idle()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  get isEmpty(): boolean {
    return this.#dirs.length === 0
  }

  size(digest: Digest): number | undefined {
    return this.#proven.get(digest)?.size
  }

  digests(): Iterable<Digest> {
    return this.#proven.digests()
  }

  subscribe(events: ContentEvents): () => void {
    return this.#proven.subscribe(events)
  }

  check(digest: Digest): void {
    if (this.isEmpty || digestAlgorithm(digest) !== 'sha256' || this.#stopping.signal.aborted) return
    if (this.#proven.get(digest) !== undefined || this.#missed.has(digest)) return
    if (this.#waiting.has(digest) || this.#waiting.size >= MAX_WAITING) return
    this.#waiting.set(digest, this.#checkNow(digest))
  }

  async open(digest: Digest): Promise<BlobReader> {
    const file = this.#proven.get(digest)
    if (file === undefined) throw unknown(digest)
    return await storing('content of the host cannot be read', async () => {
      const handle = await this.#openFile(file.path)
      try {
        if (handle !== undefined && stateOf(await handle.stat()) === file.state) {
          return new UnchangedFileReader({ digest, handle, size: file.size, state: file.state })
        }
      } catch (error) {
        await handle?.close()
        throw error
      }
      await handle?.close()
      this.#proven.forget(digest, file)
      throw unknown(digest)
    })
  }

  async chunkHashes(digest: Digest, { signal }: Abortable): Promise<readonly ChunkHash[] | undefined> {
    signal.throwIfAborted()
    const file = this.#proven.get(digest)
    if (file === undefined) return undefined
    if (planChunks(file.size).count === 1) return [digestHex(digest)]
    if (file.chunks !== undefined) return file.chunks
    const proven = await this.#prove(digest, signal)
    if (proven === undefined) this.#proven.forget(digest, file)
    return proven?.chunks
  }

  /** Never throws. */
  async #checkNow(digest: Digest): Promise<void> {
    try {
      if ((await this.#prove(digest, this.#stopping.signal)) === undefined) this.#missed.set(digest, true)
    } catch (error) {
      this.#missed.set(digest, true)
      this.#log.debug({ digest, err: error }, 'content of the host could not be checked')
    } finally {
      this.#waiting.delete(digest)
    }
  }

  async #prove(digest: Digest, signal: AbortSignal): Promise<ProvenFile | undefined> {
    return await this.#proving.run(digest, signal, (shared) =>
      this.#turn.run('one', async () => {
        using linked = linkSignals([shared, this.#stopping.signal])
        for (const dir of this.#dirs) {
          linked.signal.throwIfAborted()
          const proven = await this.#proveFile(hostPath(dir, digest), digest, linked.signal)
          if (proven !== undefined) return proven
        }
        return undefined
      }),
    )
  }

  async #proveFile(path: string, digest: Digest, signal: AbortSignal): Promise<ProvenFile | undefined> {
    await using handle = await this.#openFile(path)
    const stat = await handle?.stat()
    if (handle === undefined || !stat?.isFile()) return undefined
    const { size } = stat
    const state = stateOf(stat)
    if (this.#damaged.has(`${path} ${state}`)) return undefined
    const { hash, chunks } = await this.#hashes.hashChunks(handle.fd, planChunks(size), { signal })
    if (stateOf(await handle.stat()) !== state) return undefined
    if (hash === digestHex(digest)) return this.#proven.add(digest, { path, state, size }, chunks)
    this.#damaged.set(`${path} ${state}`, true)
    this.#log.warn({ path, digest }, 'content of the host does not have its digest and is not shared')
    return undefined
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

function unknown(digest: Digest): ShoalError {
  return new ShoalError('BLOB_UNKNOWN', 'the content of the host is gone', { detail: { digest } })
}
