/**
 * Sends messages to one peer over a stream of this side's own, which is opened when there is something to send. Owns: that stream, what waits for it. What
 * waits is bounded: a peer that reads too slowly, or not at all, loses the stream and all that waits. What is sent within one turn of the event loop goes out as
 * one: each write to a stream is framed twice, encrypted and written to the socket by itself. What has time goes with the next message that has none, in the
 * order in which both were sent. Called by `PeerSession`.
 */
import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { ShoalError } from '../../errors.ts'
import { frame } from '../encoding/frames.ts'

export interface MessageSenderInit {
  readonly maxQueuedBytes: number
  /** How long the peer may take nothing while something waits. */
  readonly stallMs: number
  readonly openMs: number
  /** What has time waits no longer than this. */
  readonly laterMs: number
}

export interface MessageSenderComponents {
  readonly open: (options: { signal: AbortSignal }) => Promise<Stream>
  /** What was sent last may not have arrived, and what waited is gone. */
  readonly onLost: (error: unknown) => void
}

interface Open {
  readonly name: 'open'
  readonly stream: Stream
  /** Frames of this turn of the event loop, and such as had time. */
  readonly turn: Uint8Array[]
}

type State =
  | { readonly name: 'idle' }
  | { readonly name: 'opening'; readonly stop: AbortController; readonly waiting: Uint8Array[] }
  | Open

export class MessageSender {
  readonly #components: MessageSenderComponents
  readonly #init: MessageSenderInit
  #state: State = { name: 'idle' }
  /** Of frames that were not given to the stream. */
  #heldBytes = 0
  #stallTimer: NodeJS.Timeout | undefined
  /** Frames that wait for one that has no time. */
  readonly #later: Uint8Array[] = []
  #laterTimer: NodeJS.Timeout | undefined

  constructor(components: MessageSenderComponents, init: MessageSenderInit) {
    this.#components = components
    this.#init = init
  }

  /** Bytes that wait here or in the stream. */
  get queuedBytes(): number {
    return this.#heldBytes + (this.#state.name === 'open' ? this.#state.stream.writeBufferLength : 0)
  }

  /** @param hasTime nobody waits for it */
  send(message: Uint8Array, { hasTime }: { readonly hasTime: boolean }): void {
    const framed = frame(message)
    if (this.queuedBytes + framed.length > this.#init.maxQueuedBytes) {
      this.#lose(new ShoalError('PEER_UNAVAILABLE', 'the peer does not take what is sent to it'))
      return
    }
    this.#heldBytes += framed.length
    this.#later.push(framed)
    if (hasTime) this.#laterTimer ??= setTimeout(() => this.#sendNow(), this.#init.laterMs).unref()
    else this.#sendNow()
  }

  /** Lets go of the stream; the next message opens another one. Nobody is told. */
  close(): void {
    const state = this.#reset()
    if (state.name === 'opening') state.stop.abort(new ShoalError('PEER_UNAVAILABLE', 'not needed any more'))
    if (state.name === 'open') state.stream.abort(new Error('closed'))
  }

  #sendNow(): void {
    clearTimeout(this.#laterTimer)
    this.#laterTimer = undefined
    const frames = this.#later.splice(0)
    const state = this.#state
    switch (state.name) {
      case 'idle':
        void this.#open(frames)
        break
      case 'opening':
        state.waiting.push(...frames)
        break
      case 'open':
        if (state.turn.length === 0) setImmediate(() => this.#write(state))
        state.turn.push(...frames)
        break
    }
  }

  async #open(waiting: Uint8Array[]): Promise<void> {
    const stop = new AbortController()
    const opening = { name: 'opening', stop, waiting } as const
    this.#state = opening
    const deadline = setTimeout(
      () => stop.abort(new DOMException('deadline passed', 'TimeoutError')),
      this.#init.openMs,
    )
    try {
      const stream = await this.#components.open({ signal: stop.signal })
      if (this.#state !== opening) {
        stream.abort(new Error('too late'))
        return
      }
      this.#opened(stream, waiting)
    } catch (error) {
      if (this.#state === opening) this.#lose(error)
    } finally {
      clearTimeout(deadline)
    }
  }

  #opened(stream: Stream, waiting: readonly Uint8Array[]): void {
    const open: Open = { name: 'open', stream, turn: [...waiting] }
    this.#state = open
    stream.maxWriteBufferLength = this.#init.maxQueuedBytes
    stream.addEventListener('close', (event) => {
      if (this.#isCurrent(stream)) this.#lose(event.error)
    })
    stream.addEventListener('drain', () => {
      if (this.#isCurrent(stream)) this.#watch(stream, 'drained')
    })
    // the other side sends on a stream of its own
    stream.addEventListener('message', () => stream.abort(new Error('nothing is read here')))
    this.#write(open)
  }

  #write(state: Open): void {
    if (this.#state !== state) return
    const { stream } = state
    const framed = new Uint8ArrayList(...state.turn.splice(0))
    this.#heldBytes = this.#later.reduce((sum, { length }) => sum + length, 0)
    try {
      stream.send(framed)
      this.#watch(stream, 'wrote')
    } catch (error) {
      if (this.#isCurrent(stream)) this.#lose(error)
    }
  }

  /** The stall timer runs while something waits, and begins again whenever the peer has taken something. */
  #watch(stream: Stream, event: 'wrote' | 'drained'): void {
    const isWaiting = stream.writeBufferLength > 0 || stream.writableNeedsDrain
    if (!isWaiting || event === 'drained') {
      clearTimeout(this.#stallTimer)
      this.#stallTimer = undefined
    }
    if (!isWaiting) return
    this.#stallTimer ??= setTimeout(() => this.#onStall(stream), this.#init.stallMs).unref()
  }

  #onStall(stream: Stream): void {
    this.#stallTimer = undefined
    if (!this.#isCurrent(stream)) return
    // the stream may have drained without a word
    if (stream.writeBufferLength > 0) {
      this.#lose(new ShoalError('PEER_UNAVAILABLE', 'the peer does not take what is sent to it'))
    }
  }

  #isCurrent(stream: Stream): boolean {
    return this.#state.name === 'open' && this.#state.stream === stream
  }

  #lose(error: unknown): void {
    this.close()
    this.#components.onLost(error)
  }

  #reset(): State {
    const state = this.#state
    this.#state = { name: 'idle' }
    this.#heldBytes = 0
    this.#later.length = 0
    clearTimeout(this.#laterTimer)
    clearTimeout(this.#stallTimer)
    this.#laterTimer = undefined
    this.#stallTimer = undefined
    return state
  }
}
