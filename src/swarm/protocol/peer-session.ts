/**
 * What is open to one connected peer: a stream to send on, opened when needed, and the one that the peer sends on, the newest if it opens several. Owns
 * both, and when to try again after one was lost. Called by `SwarmProtocol`.
 */
import type { Stream } from '@libp2p/interface'
import type { Clock } from '../../util/clock.ts'
import { MessageReceiver } from './message-receiver.ts'
import { MessageSender } from './message-sender.ts'
import { encodeMessage, type WireMessage } from './wire-messages.ts'

export interface SessionLimits {
  readonly maxQueuedBytes: number
  readonly laterMs: number
  readonly stallMs: number
  readonly openMs: number
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  readonly messageMs: number
  /** Between a loss and the next try; doubled with each loss up to a hundred times as much. */
  readonly retryMs: number
}

export interface SessionEvents {
  message(message: WireMessage): void | Promise<void>
  /** What was sent last may not have arrived. */
  outgoingLost(error: unknown): void
  incomingEnded(error: unknown): void
  /** After either: the streams can be used again, and both sides have to say again what they want. */
  resync(): void
}

export interface PeerSessionComponents {
  readonly clock: Clock
  readonly open: (options: { signal: AbortSignal }) => Promise<Stream>
  readonly events: SessionEvents
}

const MAX_DOUBLINGS = 7
/** Losses further apart have nothing to do with each other. */
const FORGIVEN_AFTER_MS = 60_000

export class PeerSession {
  readonly #components: PeerSessionComponents
  readonly #limits: SessionLimits
  readonly #sender: MessageSender
  #receiver: MessageReceiver | undefined
  #losses = 0
  #lostAt = 0
  #retryTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(components: PeerSessionComponents, limits: SessionLimits) {
    this.#components = components
    this.#limits = limits
    const onLost = (error: unknown): void => {
      components.events.outgoingLost(error)
      this.#retryLater()
    }
    this.#sender = new MessageSender({ open: components.open, onLost }, limits)
  }

  /** Nothing can be sent until `resync`. */
  get isDown(): boolean {
    return this.#retryTimer !== undefined
  }

  /** @returns false when the peer can't be reached now: `resync` comes when it can be tried again */
  send(message: WireMessage): boolean {
    if (this.isDown || this.#isClosed) return false
    // a peer that is told later sends a little for nothing
    this.#sender.send(encodeMessage(message), { hasTime: message.type === 'unwant' })
    return !this.isDown
  }

  receive(stream: Stream): void {
    const before = this.#receiver
    const onEnd = (error: unknown): void => {
      if (this.#receiver !== receiver) return
      this.#receiver = undefined
      this.#components.events.incomingEnded(error)
      this.#retryLater()
    }
    const { clock, events } = this.#components
    const receiver = new MessageReceiver(
      { clock, stream, onEnd, onMessage: (message) => events.message(message) },
      this.#limits,
    )
    this.#receiver = receiver
    before?.close(undefined)
    receiver.start()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retryTimer)
    this.#sender.close()
    const receiver = this.#receiver
    this.#receiver = undefined
    receiver?.close(undefined)
  }

  #retryLater(): void {
    if (this.#isClosed || this.#retryTimer !== undefined) return
    const now = this.#components.clock()
    if (now - this.#lostAt > FORGIVEN_AFTER_MS) this.#losses = 0
    this.#lostAt = now
    const waitMs = Math.min(100, 2 ** Math.min(MAX_DOUBLINGS, this.#losses)) * this.#limits.retryMs
    this.#losses += 1
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.#components.events.resync()
    }, waitMs).unref()
  }
}
