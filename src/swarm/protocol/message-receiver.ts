/**
 * Reads messages from one stream that a peer opened. Owns the stream, and the messages that have arrived and are not dealt with. They are dealt with one after the
 * other; meanwhile, and when the peer sends faster than it may, nothing more is read. Called by `PeerSession`.
 */
import type { Stream } from '@libp2p/interface'
import { ShoalError } from '../../errors.ts'
import type { Clock } from '../../util/clock.ts'
import { RateLimit } from '../../util/rate-limit.ts'
import { FrameReader } from '../encoding/frames.ts'
import { decodeMessage, MAX_MESSAGE_BYTES, type WireMessage } from './wire-messages.ts'

export interface MessageReceiverInit {
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  /** How long the rest of a message may take. */
  readonly messageMs: number
}

export interface MessageReceiverComponents {
  readonly clock: Clock
  /** The next message waits until this one is dealt with. @throws ShoalError PEER_MISBEHAVED for what no peer should say */
  readonly onMessage: (message: WireMessage) => void | Promise<void>
  /** It ended, by itself or by an error. Called once. */
  readonly onEnd: (error: unknown) => void
}

/** Bursts are as much as comes in so many seconds. */
const BURST_SECONDS = 4
/** So many messages wait before reading pauses. */
const MAX_WAITING = 32

export class MessageReceiver {
  readonly #components: MessageReceiverComponents
  readonly #init: MessageReceiverInit
  readonly #stream: Stream
  readonly #frames = new FrameReader({ maxBytes: MAX_MESSAGE_BYTES })
  readonly #messages: RateLimit
  readonly #bytes: RateLimit
  #waiting: Uint8Array[] = []
  #isWorking = false
  #isEnded = false
  #partTimer: NodeJS.Timeout | undefined
  #pauseTimer: NodeJS.Timeout | undefined

  constructor(components: MessageReceiverComponents & { readonly stream: Stream }, init: MessageReceiverInit) {
    this.#components = components
    this.#init = init
    this.#stream = components.stream
    const rate = (perSecond: number) => new RateLimit(components, { perSecond, burst: perSecond * BURST_SECONDS })
    this.#messages = rate(init.messagesPerSecond)
    this.#bytes = rate(init.bytesPerSecond)
  }

  start(): void {
    const stream = this.#stream
    stream.addEventListener('close', (event) => this.#end(event.error))
    stream.addEventListener('remoteCloseWrite', () => {
      if (this.#waiting.length === 0 && !this.#isWorking) this.close(undefined)
    })
    stream.addEventListener('message', (event) => {
      if (this.#isEnded) return
      try {
        this.#arrived(this.#frames.push(event.data), event.data.byteLength)
      } catch (error) {
        this.close(error)
      }
    })
  }

  close(error: unknown): void {
    if (this.#isEnded) return
    this.#end(error)
    this.#stream.abort(error instanceof Error ? error : new Error('closed'))
  }

  #arrived(frames: Uint8Array[], bytes: number): void {
    this.#waiting.push(...frames)
    if (frames.length > 0 || this.#frames.pendingBytes === 0) {
      clearTimeout(this.#partTimer)
      this.#partTimer = undefined
    }
    if (this.#frames.pendingBytes > 0) this.#partTimer ??= this.#awaitRest()
    const debtMs = Math.max(this.#bytes.take(bytes), this.#messages.take(frames.length))
    if (debtMs > 0) this.#pauseFor(debtMs)
    if (this.#waiting.length > MAX_WAITING) this.#stream.pause()
    if (!this.#isWorking) void this.#work()
  }

  #awaitRest(): NodeJS.Timeout {
    return setTimeout(() => {
      // while this side does not read, the rest may have come
      if (this.#stream.readStatus === 'paused') this.#partTimer = this.#awaitRest()
      else this.close(new ShoalError('PEER_MISBEHAVED', 'the rest of a message does not come'))
    }, this.#init.messageMs).unref()
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    try {
      while (this.#waiting.length > 0 && !this.#isEnded) {
        const batch = this.#waiting
        this.#waiting = []
        for (const bytes of batch) {
          if (this.#isEnded) break
          const done = this.#components.onMessage(decodeMessage(bytes))
          if (done !== undefined) await done
        }
      }
      if (this.#stream.remoteWriteStatus === 'closed') this.close(undefined)
    } catch (error) {
      this.close(error)
    } finally {
      this.#isWorking = false
      this.#resume()
    }
  }

  #pauseFor(ms: number): void {
    this.#stream.pause()
    clearTimeout(this.#pauseTimer)
    this.#pauseTimer = setTimeout(() => {
      this.#pauseTimer = undefined
      this.#resume()
    }, ms).unref()
  }

  #resume(): void {
    const isPaused = this.#stream.readStatus === 'paused'
    if (!isPaused || this.#isEnded || this.#isWorking || this.#pauseTimer !== undefined) return
    this.#stream.resume()
  }

  #end(error: unknown): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#waiting = []
    clearTimeout(this.#partTimer)
    clearTimeout(this.#pauseTimer)
    this.#components.onEnd(error)
  }
}
