import type { IncomingMessage, ServerResponse } from 'node:http'
import { ShoalError } from '../errors.ts'
import { raceAbort } from '../util/race-abort.ts'
import { type LinkedSignal, linkSignals } from '../util/signals.ts'
import { noSpan, type Span } from '../util/tracer.ts'

/**
 * One request and its answer. Its signal aborts when the client has left, and when the first byte of the answer is not
 * there by the deadline. Whoever creates it disposes it.
 */
export class Exchange implements Disposable {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly isHead: boolean
  readonly startedAt = performance.now()
  /** Of the trace of this request. */
  span: Span = noSpan
  /** The `ns` that the client named, echoed in the answer. */
  namespace: string | undefined
  readonly #linked: LinkedSignal
  readonly #onClose = (): void => this.#linked.abort(new DOMException('the client has left', 'AbortError'))

  constructor(components: { request: IncomingMessage; response: ServerResponse }, init: { firstByteMs: number }) {
    this.request = components.request
    this.response = components.response
    this.isHead = components.request.method === 'HEAD'
    this.#linked = linkSignals([], init.firstByteMs)
    this.response.once('close', this.#onClose)
    if (this.response.destroyed) this.#onClose()
  }

  get signal(): AbortSignal {
    return this.#linked.signal
  }

  /** @param dispose is given a result that comes too late */
  within<T>(work: Promise<T>, dispose?: (late: T) => void): Promise<T> {
    return raceAbort(work, this.signal, dispose)
  }

  /** From here on only the client's leaving aborts the signal. */
  firstByteIsThere(): void {
    this.#linked[Symbol.dispose]()
  }

  /** What `error` means: once the signal has aborted, every error is a consequence of that. */
  explain(error: unknown): unknown {
    if (!this.signal.aborted) return error
    const cause: unknown = this.signal.reason
    return cause instanceof DOMException && cause.name === 'TimeoutError'
      ? new ShoalError('STALLED', 'no answer in time', { cause })
      : new ShoalError('ABORTED', 'the client has left', { cause })
  }

  /** @param headers name and value in turn, beside those that every answer has */
  writeHead(status: number, headers: readonly string[]): void {
    const all = ['Docker-Distribution-Api-Version', 'registry/2.0', ...headers]
    if (this.namespace !== undefined) all.push('OCI-Namespace', this.namespace)
    this.response.writeHead(status, all)
  }

  [Symbol.dispose](): void {
    this.#linked[Symbol.dispose]()
    this.response.off('close', this.#onClose)
  }
}
