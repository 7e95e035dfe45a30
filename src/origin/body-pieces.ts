import type { Readable } from 'node:stream'

/** What may wait here before the connection is held back. */
const MAX_WAITING_BYTES = 128 * 1024

const CUT = 'the stream was closed before its end'

/**
 * The pieces of a body as the network brings them. A Readable's own iterator copies all that has arrived into one new
 * buffer each time, which costs a second reading of everything and most of the garbage.
 * Ending the iteration early destroys the stream. @throws the stream's error
 */
export async function* bodyPieces(stream: Readable): AsyncGenerator<Buffer, void, void> {
  const waiting: Buffer[] = []
  let waitingBytes = 0
  let end: { readonly error?: Error } | undefined
  let arrival = Promise.withResolvers<void>()
  const finish = (error?: Error): void => {
    end ??= error === undefined ? {} : { error }
    arrival.resolve()
  }
  stream.on('data', (piece: Buffer) => {
    waiting.push(piece)
    waitingBytes += piece.length
    if (waitingBytes >= MAX_WAITING_BYTES) stream.pause()
    arrival.resolve()
  })
  stream.once('end', () => finish())
  stream.once('error', finish)
  stream.once('close', () => finish(new Error(CUT)))
  // What has happened before somebody listened is not told again.
  if (stream.errored !== null) finish(stream.errored)
  else if (stream.readableEnded) finish()
  else if (stream.destroyed) finish(new Error(CUT))
  try {
    for (;;) {
      const piece = waiting.shift()
      if (piece !== undefined) {
        waitingBytes -= piece.length
        if (waitingBytes === 0) stream.resume()
        yield piece
      } else if (end !== undefined) {
        if (end.error !== undefined) throw end.error
        return
      } else {
        await arrival.promise
        arrival = Promise.withResolvers()
      }
    }
  } finally {
    if (end === undefined) stream.on('error', () => undefined).destroy()
  }
}
