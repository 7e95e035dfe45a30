import type { ServerResponse } from 'node:http'

/**
 * Server-sent events on one response. A reader that does not keep up is not written to until it has taken what it was given,
 * so that no more than one message waits for it.
 */
export class EventStream {
  /** The next message must hold everything: one was left out. */
  isMissing = true
  readonly #response: ServerResponse
  #behindSince: number | undefined

  /** @param onClose called once, when the reader has left or was dropped */
  constructor(response: ServerResponse, onClose: () => void) {
    this.#response = response
    response.once('close', onClose)
    response.on('drain', () => {
      this.#behindSince = undefined
    })
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
  }

  /** Whether it has taken all it was given. */
  get isReady(): boolean {
    return this.#behindSince === undefined
  }

  /** Milliseconds since when it takes nothing, on the caller's clock. */
  behindFor(now: number): number {
    return this.#behindSince === undefined ? 0 : now - this.#behindSince
  }

  /** @param text one or more whole events */
  write(text: string, now: number): void {
    if (!this.#response.write(text)) this.#behindSince ??= now
  }

  drop(): void {
    this.#response.destroy()
  }
}
