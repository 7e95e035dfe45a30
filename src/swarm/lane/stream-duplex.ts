import { Duplex } from 'node:stream'
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'

/** What yamux lets a peer send while nobody reads: a stream whose reader is paused must not be reset before. */
const MAX_READ_BUFFER_BYTES = 17 * 1024 * 1024
const CLOSE_MS = 5_000

/**
 * A libp2p stream as a Node stream. Both directions hold back: the next write waits until the muxer has sent the last
 * one, a reader that is full pauses the stream. `onDrain` of the stream is not used, since it resolves at once from the
 * second time on.
 */
export function streamDuplex(stream: Stream): Duplex {
  stream.maxReadBufferLength = MAX_READ_BUFFER_BYTES
  const pending: { settle: ((error?: Error) => void) | undefined } = { settle: undefined }

  const duplex = new Duplex({
    read() {
      if (stream.readStatus === 'paused') stream.resume()
    },
    write(bytes: Buffer, _encoding, callback) {
      try {
        // the muxer may keep it for longer than the writer does
        stream.send(Uint8Array.from(bytes))
      } catch (error) {
        callback(toError(error))
        return
      }
      pending.settle = callback
      settleIfSent()
    },
    final(callback) {
      void closeWrite(stream, callback)
    },
    destroy(error, callback) {
      unlisten()
      settle(error ?? new Error('the stream was destroyed'))
      if (stream.status === 'open' || stream.status === 'closing')
        stream.abort(error ?? new Error('not needed any more'))
      callback(error)
    },
  })

  const settle = (error?: Error): void => {
    const { settle } = pending
    pending.settle = undefined
    settle?.(error)
  }
  const settleIfSent = (): void => {
    if (stream.writeBufferLength === 0 && !stream.writableNeedsDrain) settle()
  }
  const onMessage = ({ data }: StreamMessageEvent): void => {
    let full = false
    for (const part of data instanceof Uint8Array ? [data] : data) {
      if (!duplex.push(Buffer.from(part.buffer, part.byteOffset, part.byteLength))) full = true
    }
    if (full && stream.readStatus === 'readable') stream.pause()
  }
  const onEnd = (): void => {
    duplex.push(null)
  }
  const onClose = ({ error }: StreamCloseEvent): void => {
    settle(error ?? new Error('the stream was closed'))
    if (error !== undefined) duplex.destroy(error)
  }
  const unlisten = (): void => {
    stream.removeEventListener('message', onMessage)
    stream.removeEventListener('end', onEnd)
    stream.removeEventListener('close', onClose)
    stream.removeEventListener('drain', settleIfSent)
    stream.removeEventListener('idle', settleIfSent)
  }
  stream.addEventListener('message', onMessage)
  stream.addEventListener('end', onEnd)
  stream.addEventListener('close', onClose)
  stream.addEventListener('drain', settleIfSent)
  stream.addEventListener('idle', settleIfSent)
  if (stream.readableEnded) onEnd()
  if (stream.status === 'reset' || stream.status === 'aborted') duplex.destroy(new Error('the stream was reset'))
  return duplex
}

async function closeWrite(stream: Stream, callback: (error?: Error) => void): Promise<void> {
  let failure: Error | undefined
  try {
    await stream.close({ signal: AbortSignal.timeout(CLOSE_MS) })
  } catch (error) {
    failure = toError(error)
  }
  callback(failure)
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
