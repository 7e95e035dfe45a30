import type { ServerResponse } from 'node:http'
import type { Abortable, BlobReader } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import type { BufferPool } from '../util/buffer-pool.ts'
import { raceAbort } from '../util/race-abort.ts'
import { BodyCursor } from './body-cursor.ts'
import type { BodyPlan } from './multipart-ranges.ts'

/** Reads of the body that may be under way or waiting to be written, per response. */
const BUFFERS = 2

export interface BodyProgress {
  /** The first bytes are there, but not written yet: the place for the head. */
  onFirstBytes(): void
  onSent(bytes: number): void
}

/**
 * Sends the bytes of blobs. While one buffer is being written the next one is read; a buffer is used again only when
 * the socket has taken all of it.
 */
export class BodySender {
  readonly #pool: BufferPool

  constructor(components: { pool: BufferPool }) {
    this.#pool = components.pool
  }

  /**
   * When this rejects and `progress.onFirstBytes` was not called, nothing was sent and an error can still be answered.
   * @param options.signal aborts when the client has left
   * @throws ShoalError of the reader, or ABORTED when the client left; the response is then cut, never ended
   */
  async send(
    response: ServerResponse,
    reader: BlobReader,
    plan: BodyPlan,
    progress: BodyProgress,
    options: Abortable,
  ): Promise<void> {
    const cursor = new BodyCursor({ reader }, { sections: plan.sections })
    const buffers = Array.from({ length: BUFFERS }, () => this.#pool.take(plan.length))
    let headSent = false
    let reusable = false
    try {
      let [current, next] = buffers as [Buffer, Buffer]
      // A body without bytes is known to be good as any other: when the reader says that this was all.
      if (plan.length === 0) await raceAbort(reader.read(current, 0, options), options.signal)
      let filled = await raceAbort(cursor.fill(current, options), options.signal)
      headSent = true
      progress.onFirstBytes()
      while (filled > 0) {
        const [written, read] = await Promise.allSettled([
          write(response, current.subarray(0, filled), options),
          raceAbort(cursor.fill(next, options), options.signal),
        ])
        if (written.status === 'rejected') throw written.reason
        if (read.status === 'rejected') throw read.reason
        progress.onSent(filled)
        filled = read.value
        ;[current, next] = [next, current]
      }
      reusable = true
      response.end()
    } catch (error) {
      if (headSent) response.destroy()
      throw error
    } finally {
      for (const buffer of buffers) this.#pool.giveBack(buffer, reusable)
    }
  }
}

/** Resolves when the socket has taken `bytes`; rejects when the client leaves first. */
function write(response: ServerResponse, bytes: Buffer, { signal }: Abortable): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onAbort = (): void => reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  response.write(bytes, (error) => {
    signal.removeEventListener('abort', onAbort)
    if (error) reject(new ShoalError('ABORTED', 'the client has left', { cause: error }))
    else resolve()
  })
  return promise
}
