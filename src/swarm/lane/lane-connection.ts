import type { Abortable } from '../../blob/ports.ts'
import { hasCode, ShoalError, toShoalError } from '../../errors.ts'
import type { SharedTicks } from '../../util/shared-ticks.ts'
import type { TokenBucket } from '../../util/token-bucket.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { LaneRequest } from '../swarm-ports.ts'
import { aborted, type LaneBody, misbehaved, parseLaneHead, readLaneHead } from './lane-answer.ts'
import { LaneBodyQueue } from './lane-body-queue.ts'
import { formatLaneRange, formatLaneTarget, MAX_HEAD_BYTES } from './lane-protocol.ts'
import { LaneRest } from './lane-rest.ts'
import type { LaneReceiver, LaneTransport } from './lane-transport.ts'

/** One read of TLS gives no more than this, and so much is held while nothing is on its way. */
const READ_BYTES = 16 * 1024
const SLAB_BYTES = 128 * 1024
/** A body that brings less than this within the deadline counts as stalled. */
const MIN_PROGRESS_BYTES = 4 * 1024

export interface LaneConnectionInit {
  readonly peer: string
  /** From a request to the head of its answer. */
  readonly firstByteMs: number
  readonly stallMs: number
  /** How long it is kept without a request. */
  readonly idleMs: number
}

interface Components {
  /** Limits what is read, when there is a limit. */
  readonly bucket: TokenBucket | undefined
  readonly metrics: Pick<SwarmMetrics, 'received'>
  /** For reading again. */
  readonly ticks: SharedTicks
  /** The last body is in: the next request may come. */
  readonly onFree: (connection: LaneConnection) => void
  readonly onClosed: (connection: LaneConnection) => void
}

interface Answer {
  readonly body: LaneBody
  /** Ending the iteration early closes the connection. */
  readonly bytes: AsyncIterable<Uint8Array>
}

type State =
  | { readonly name: 'free' }
  | {
      readonly name: 'head'
      readonly request: LaneRequest
      readonly signal: AbortSignal
      readonly answer: PromiseWithResolvers<Answer>
      head: string
    }
  | {
      readonly name: 'body'
      left: number
      rest: LaneRest
      readonly isLast: boolean
      readonly queue: LaneBodyQueue
    }
  | { readonly name: 'closed'; readonly error: ShoalError }

/**
 * One connection to a peer, on which one request is under way at a time. Whatever does not go as it should ends the
 * connection, and the request with an error that names the peer. Owns the memory that bytes are read into; what was
 * handed on is not used again. Used by `LanePool` only.
 */
export class LaneConnection implements LaneReceiver {
  readonly #init: LaneConnectionInit
  readonly #components: Components
  #state: State = { name: 'free' }
  #transport: LaneTransport | undefined
  #target: Buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  #timer: NodeJS.Timeout | undefined
  #progress = 0
  /** This side has not taken what came. */
  #isPaused = false
  /** Until more has come. */
  #isResting = false
  #isRestDue = false
  #detach: () => void = () => {}
  #requests = 0
  #lostUnheard = false

  constructor(components: Components, init: LaneConnectionInit) {
    this.#components = components
    this.#init = init
  }

  get via(): LaneTransport['via'] {
    return this.#transport?.via ?? 'lane'
  }

  get isClosed(): boolean {
    return this.#state.name === 'closed'
  }

  /** The peer closed the connection before it said anything to a request, which may be made again elsewhere. */
  get lostUnheard(): boolean {
    return this.#lostUnheard
  }

  /** Whether there was a request on it before the last one. */
  get wasUsed(): boolean {
    return this.#requests > 1
  }

  /** Call it once, before anything else. @throws ShoalError PEER_UNAVAILABLE when it is closed already */
  attach(transport: LaneTransport): void {
    this.#transport = transport
    if (this.#state.name === 'closed') {
      transport.destroy()
      throw this.#state.error
    }
    this.#arm(this.#init.idleMs)
  }

  /**
   * @param options.signal also ends the body
   * @throws ShoalError PEER_LACKS, PEER_BUSY, PEER_CROWDED, PEER_PUTS_OFF, PEER_UNAVAILABLE, PEER_MISBEHAVED, ABORTED
   */
  async ask(request: LaneRequest, options: Abortable): Promise<Answer> {
    if (this.#state.name === 'closed') throw this.#state.error
    if (this.#state.name !== 'free') throw new Error('a request is under way')
    const { signal } = options
    const answer = Promise.withResolvers<Answer>()
    this.#state = { name: 'head', request, signal, answer, head: '' }
    this.#requests += 1
    this.#arm(this.#init.firstByteMs)
    const onAbort = (): void => this.#fail(aborted(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    this.#detach = () => signal.removeEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    else this.#transport?.write(format(request))
    return await answer.promise
  }

  close(): void {
    this.#fail(this.#unavailable('the connection was closed'))
  }

  target(): Uint8Array {
    const wanted = this.#state.name === 'body' ? Math.min(this.#state.left, SLAB_BYTES) : READ_BYTES
    if (this.#target.length < Math.min(wanted, READ_BYTES)) this.#target = Buffer.allocUnsafeSlow(wanted)
    return this.#target
  }

  received(bytes: Buffer): boolean {
    if (bytes.buffer === this.#target.buffer) this.#target = this.#target.subarray(bytes.length)
    const state = this.#state
    if (state.name === 'head') this.#onHead(state, bytes)
    else if (state.name === 'body') this.#onBody(state, bytes)
    else if (state.name === 'free') this.close()
    return !this.#isPaused
  }

  closed(error?: Error): void {
    this.#lostUnheard = this.#state.name === 'free' || (this.#state.name === 'head' && this.#state.head === '')
    this.#fail(this.#unavailable('the peer closed the connection', { cause: error }))
  }

  #onHead(state: State & { name: 'head' }, bytes: Buffer): void {
    const before = state.head.length
    state.head += bytes.toString('latin1')
    const end = state.head.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end > MAX_HEAD_BYTES || (end < 0 && state.head.length > MAX_HEAD_BYTES)) {
      this.#fail(misbehaved(this.#init.peer, 'the head of the answer is too long'))
      return
    }
    if (end < 0) return
    const rest = bytes.subarray(end + 4 - before)
    const head = parseLaneHead(state.head.slice(0, end))
    try {
      if (head === undefined) throw misbehaved(this.#init.peer, 'the answer is no HTTP')
      const body = readLaneHead(this.#init.peer, head, state.request)
      const queue = new LaneBodyQueue()
      this.#state = {
        name: 'body',
        left: body.length,
        isLast: body.isLast,
        queue,
        rest: new LaneRest(performance.now()),
      }
      state.answer.resolve({ body, bytes: this.#iterable(queue, state.signal) })
      this.#progress = 0
      this.#arm(this.#init.stallMs)
      this.#onBody(this.#state, rest)
    } catch (error) {
      // a refusal is no reason to part, if nothing is left of it
      const isWhole = head?.headers.get('content-length') === '0' && rest.length === 0
      if (
        isWhole &&
        hasCode(error, 'PEER_LACKS', 'PEER_BUSY', 'PEER_CROWDED', 'PEER_PUTS_OFF') &&
        head?.headers.get('connection') !== 'close'
      ) {
        state.answer.reject(error)
        this.#free()
      } else {
        this.#fail(toShoalError(error))
      }
    }
  }

  #onBody(state: State & { name: 'body' }, bytes: Buffer): void {
    if (bytes.length > state.left) {
      this.#fail(misbehaved(this.#init.peer, 'the body is longer than announced'))
      return
    }
    state.left -= bytes.length
    if (bytes.length > 0) state.queue.push(bytes)
    if (state.left === 0) {
      state.queue.finish({})
      if (state.isLast) this.close()
      else this.#free()
      return
    }
    this.#progress += bytes.length
    if (state.queue.isFull) {
      // it is this side that holds things up
      this.#isPaused = true
      clearTimeout(this.#timer)
    } else if (this.#progress >= MIN_PROGRESS_BYTES) {
      this.#progress = 0
      this.#timer?.refresh()
    }
    state.rest.came(bytes.length)
    if (!this.#isPaused && !this.#isResting) this.#restSoon()
  }

  /** When the event loop has given all that there is. */
  #restSoon(): void {
    if (this.#isRestDue) return
    this.#isRestDue = true
    setImmediate(() => {
      this.#isRestDue = false
      const state = this.#state
      if (state.name !== 'body' || this.#isPaused || this.#isResting) return
      const restMs = state.rest.next(state.left, performance.now())
      if (restMs === 0) return
      this.#isResting = true
      this.#transport?.pause()
      this.#components.ticks.after(restMs, () => this.#endRest())
    })
  }

  #endRest(): void {
    if (!this.#isResting) return
    this.#isResting = false
    if (!this.#isPaused && this.#state.name !== 'closed') this.#transport?.resume()
  }

  #iterable(queue: LaneBodyQueue, signal: AbortSignal): AsyncIterable<Buffer> {
    const { bucket, metrics } = this.#components
    // no generator: one that was never begun would not hear of its end
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const value = await queue.take()
          if (value === undefined) return { done: true, value: undefined }
          this.#onTaken(queue)
          metrics.received(this.via, value.length)
          if (bucket?.isLimited === true) await pay(bucket, value.length, signal)
          return { done: false, value }
        },
        return: async () => {
          if (this.#isReceiving(queue)) this.close()
          queue.clear()
          return { done: true, value: undefined }
        },
      }),
    }
  }

  #onTaken(queue: LaneBodyQueue): void {
    if (!this.#isPaused || queue.isFull || !this.#isReceiving(queue)) return
    this.#progress = 0
    if (this.#state.name === 'body') this.#state.rest = new LaneRest(performance.now())
    this.#arm(this.#init.stallMs)
    this.#unpause()
  }

  #unpause(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (!this.#isResting) this.#transport?.resume()
  }

  #isReceiving(queue: LaneBodyQueue): boolean {
    return this.#state.name === 'body' && this.#state.queue === queue
  }

  #free(): void {
    this.#detach()
    this.#state = { name: 'free' }
    this.#arm(this.#init.idleMs)
    this.#unpause()
    this.#endRest()
    this.#components.onFree(this)
  }

  /** Ends the connection and what is under way on it. Only the first error counts. */
  #fail(error: ShoalError): void {
    const state = this.#state
    if (state.name === 'closed') return
    this.#state = { name: 'closed', error }
    this.#detach()
    clearTimeout(this.#timer)
    if (state.name === 'head') state.answer.reject(error)
    else if (state.name === 'body') state.queue.finish({ error })
    this.#transport?.destroy()
    this.#components.onClosed(this)
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#onDeadline(), ms).unref()
  }

  #onDeadline(): void {
    if (this.#state.name === 'free') this.close()
    else this.#fail(this.#unavailable('the peer stalled', { stalled: true }))
  }

  #unavailable(message: string, { cause, stalled }: { cause?: unknown; stalled?: true } = {}): ShoalError {
    const detail = { peer: this.#init.peer, ...(stalled && { stalled }) }
    return new ShoalError('PEER_UNAVAILABLE', message, { cause, detail })
  }
}

function format(request: LaneRequest): string {
  const range = request.range === undefined ? '' : `range: ${formatLaneRange(request.range)}\r\n`
  return `GET ${formatLaneTarget(request)} HTTP/1.1\r\nhost: lane\r\n${range}\r\n`
}

async function pay(bucket: TokenBucket, bytes: number, signal: AbortSignal): Promise<void> {
  try {
    await bucket.take(bytes, { signal })
  } catch {
    throw aborted(signal)
  }
}
