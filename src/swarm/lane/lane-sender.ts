import type { ServerResponse } from 'node:http'
import type { Abortable, BlobReader, ByteRange } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import type { BufferPool } from '../../util/buffer-pool.ts'
import { raceAbort } from '../../util/race-abort.ts'
import type { TokenBucket } from '../../util/token-bucket.ts'

interface Components {
  readonly pool: BufferPool
  /** Limits what is sent, when there is a limit. */
  readonly bucket: TokenBucket | undefined
}

export interface LaneSenderInit {
  /** At most so much is sent at once: with a low rate a peer must not wait too long between two pieces. Read anew for each. */
  readonly pieceBytes: number
}

export interface LaneProgress {
  /** The first bytes are there, but not sent yet: the place for the head. */
  onFirstBytes(): void
  /** A piece is about to be handed to the connection. */
  onWrite(): void
  /** The connection has taken it. */
  onWritten(bytes: number): void
}

/** Sends ranges of blobs to peers: one buffer is written while the next one is read. */
export class LaneSender {
  readonly #components: Components
  readonly #init: LaneSenderInit

  constructor(components: Components, init: LaneSenderInit) {
    this.#components = components
    this.#init = init
  }

  /**
   * Resolves when the connection has taken all of it; the caller ends the response.
   * @param options.signal aborts when the peer has left
   * @throws ShoalError of the reader, or ABORTED; a response that was begun must then be cut
   */
  async send(
    response: ServerResponse,
    reader: BlobReader,
    range: ByteRange,
    progress: LaneProgress,
    options: Abortable,
  ): Promise<void> {
    const { pool } = this.#components
    const useful = Math.min(this.#init.pieceBytes, range.end - range.start)
    let current = pool.take(useful)
    // a short body needs no second buffer
    let next = useful < range.end - range.start ? pool.take(useful) : Buffer.alloc(0)
    const buffers = next.length > 0 ? [current, next] : [current]
    let reusable = false
    try {
      let position = range.start
      let filled = await raceAbort(this.#fill(reader, current, position, range.end, options), options.signal)
      position += filled
      progress.onFirstBytes()
      while (filled > 0) {
        const [written, read] = await Promise.allSettled([
          this.#write(response, current.subarray(0, filled), progress, options),
          raceAbort(this.#fill(reader, next, position, range.end, options), options.signal),
        ])
        if (written.status === 'rejected') throw written.reason
        if (read.status === 'rejected') throw read.reason
        filled = read.value
        position += filled
        ;[current, next] = [next, current]
      }
      reusable = true
    } finally {
      for (const buffer of buffers) pool.giveBack(buffer, reusable)
    }
  }

  async #fill(reader: BlobReader, buffer: Buffer, start: number, end: number, options: Abortable): Promise<number> {
    const wanted = Math.min(this.#init.pieceBytes, end - start, buffer.length)
    let filled = 0
    while (filled < wanted) {
      const got = await reader.read(buffer.subarray(filled, wanted), start + filled, options)
      if (got <= 0) throw new ShoalError('INTERNAL', 'the blob ended before its size')
      filled += got
    }
    return filled
  }

  async #write(response: ServerResponse, bytes: Buffer, progress: LaneProgress, options: Abortable): Promise<void> {
    await this.#components.bucket?.take(bytes.length, options)
    options.signal.throwIfAborted()
    progress.onWrite()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = (): void => reject(options.signal.reason)
    options.signal.addEventListener('abort', onAbort, { once: true })
    response.write(bytes, (error) => {
      options.signal.removeEventListener('abort', onAbort)
      if (error) reject(new ShoalError('ABORTED', 'the peer has left', { cause: error }))
      else resolve()
    })
    await promise
    progress.onWritten(bytes.length)
  }
}
