import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from './clock.ts'

/**
 * Limits a flow to so many bytes per second, with a quarter of a second's worth at once. Whoever takes more than is
 * there goes into debt and waits until it is paid; the next one waits behind it.
 */
export class TokenBucket {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  readonly #burst: number
  #level: number
  #at: number

  /** @param init.bytesPerSecond more than 0 */
  constructor(components: { clock: Clock }, init: { bytesPerSecond: number }) {
    if (!(init.bytesPerSecond > 0)) throw new RangeError('not a rate')
    this.#clock = components.clock
    this.#bytesPerMs = init.bytesPerSecond / 1000
    this.#burst = init.bytesPerSecond / 4
    this.#level = this.#burst
    this.#at = this.#clock()
  }

  /** Bytes that may be taken now without waiting; negative while there is debt. */
  get level(): number {
    const now = this.#clock()
    // The clock may be set back.
    const passed = Math.max(0, now - this.#at)
    this.#level = Math.min(this.#burst, this.#level + passed * this.#bytesPerMs)
    this.#at = now
    return this.#level
  }

  /** Resolves when the bytes may flow. Rejects with an AbortError when the signal aborts first. */
  async take(bytes: number, { signal }: { signal: AbortSignal }): Promise<void> {
    const level = this.level - bytes
    this.#level = level
    if (level < 0) await delay(-level / this.#bytesPerMs, undefined, { signal })
  }
}
