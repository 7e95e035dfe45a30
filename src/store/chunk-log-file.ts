import { type FileHandle, open } from 'node:fs/promises'
import type { ChunkHash } from '../blob/ports.ts'
import type { Digest } from '../oci/digest.ts'
import { encodeLogHeader, encodeLogRecord, LOG_HEADER_BYTES, LOG_RECORD_BYTES, parseChunkLog } from './chunk-log.ts'
import { errnoOf } from './file-errors.ts'

/** No log of ours gets near it (262,144 records); a file above it is somebody else's and not read into memory. */
const MAX_LOG_BYTES = 16 * 1024 * 1024

interface ChunkLogFileInit {
  readonly handle: FileHandle
  readonly header: Buffer
  readonly claimed: ReadonlyMap<number, ChunkHash>
  readonly unsure: ReadonlySet<number>
  /** Where the next record goes. */
  readonly end: number
}

/** The chunk log of one open partial blob, to be appended to. */
export class ChunkLogFile {
  readonly claimed: ReadonlyMap<number, ChunkHash>
  readonly unsure: ReadonlySet<number>
  readonly #handle: FileHandle
  readonly #header: Buffer
  readonly #logged: Map<number, ChunkHash>
  readonly #loggedUnsure: Set<number>
  #end: number

  constructor(init: ChunkLogFileInit) {
    this.#handle = init.handle
    this.#header = init.header
    this.claimed = init.claimed
    this.unsure = init.unsure
    this.#logged = new Map(init.claimed)
    this.#loggedUnsure = new Set(init.unsure)
    this.#end = init.end
  }

  get isEmpty(): boolean {
    return this.#logged.size === 0
  }

  async append(index: number, hash: ChunkHash, { isSure }: { readonly isSure: boolean }): Promise<void> {
    if (this.#logged.get(index) === hash && this.#loggedUnsure.has(index) === !isSure) return
    const record = encodeLogRecord(this.#header, index, hash, { isSure })
    // The place is taken before the write: if it fails, a damaged record stays there and the next one is still in step.
    const position = this.#end
    this.#end += LOG_RECORD_BYTES
    await writeAll(this.#handle, record, position)
    this.#logged.set(index, hash)
    if (isSure) this.#loggedUnsure.delete(index)
    else this.#loggedUnsure.add(index)
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

export async function createChunkLog(path: string, digest: Digest, size: number): Promise<ChunkLogFile> {
  const handle = await open(path, 'w+', 0o600)
  try {
    const header = encodeLogHeader(digest, size)
    await writeAll(handle, header, 0)
    return new ChunkLogFile({ handle, header, claimed: new Map(), unsure: new Set(), end: LOG_HEADER_BYTES })
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Takes up the log of an earlier run; undefined when there is none, or none of this digest and size. */
export async function reopenChunkLog(path: string, digest: Digest, size: number): Promise<ChunkLogFile | undefined> {
  const handle = await openIfThere(path)
  if (handle === undefined) return undefined
  try {
    const bytes = (await handle.stat()).size <= MAX_LOG_BYTES ? await handle.readFile() : Buffer.alloc(0)
    const parsed = parseChunkLog(bytes)
    if (parsed?.digest === digest && parsed.size === size) {
      await handle.truncate(parsed.length)
      const header = Buffer.from(bytes.subarray(0, LOG_HEADER_BYTES))
      return new ChunkLogFile({ handle, header, ...parsed, end: parsed.length })
    }
  } catch (error) {
    await handle.close()
    throw error
  }
  await handle.close()
  return undefined
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
