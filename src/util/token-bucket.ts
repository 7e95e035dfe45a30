import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from './clock.ts'
import { linkSignals } from './signals.ts'

/**
 * Limits a flow to so many bytes per second, with a quarter of a second's worth at once. Whoever takes more than is
 * there goes into debt and waits until it is paid; the next one waits behind it. The rate may change at any time, also for
 * those that wait.
 */
export class TokenBucket {
  readonly #clock: Clock
  /** Undefined: no limit. */
  #bytesPerMs: number | undefined
  #burst = 0
  #level: number
  #at: number
  #changed = new AbortController()

  /** @param init.bytesPerSecond more than 0; undefined: no limit */
  constructor(components: { clock: Clock }, init: { bytesPerSecond: number | undefined }) {
    this.#clock = components.clock
    this.#setRate(init.bytesPerSecond)
    this.#level = this.#burst
    this.#at = this.#clock()
  }

  get isLimited(): boolean {
    return this.#bytesPerMs !== undefined
  }

  /** Bytes that may be taken now without waiting; negative while there is debt. */
  get level(): number {
    const now = this.#clock()
    // The clock may be set back.
    const passed = Math.max(0, now - this.#at)
    this.#level = Math.min(this.#burst, this.#level + passed * (this.#bytesPerMs ?? 0))
    this.#at = now
    return this.#level
  }

  /** @param bytesPerSecond more than 0; undefined: no limit */
  setRate(bytesPerSecond: number | undefined): void {
    const before = this.#bytesPerMs
    const level = this.level
    this.#setRate(bytesPerSecond)
    if (before === this.#bytesPerMs) return
    this.#level = before === undefined || bytesPerSecond === undefined ? this.#burst : Math.min(this.#burst, level)
    const changed = this.#changed
    this.#changed = new AbortController()
    changed.abort()
  }

  /** Resolves when the bytes may flow. Rejects with an AbortError when the signal aborts first. */
  async take(bytes: number, { signal }: { signal: AbortSignal }): Promise<void> {
    if (this.#bytesPerMs === undefined) return
    const level = this.level - bytes
    this.#level = level
    let owed = -level
    while (owed > 0 && this.#bytesPerMs !== undefined) {
      const rate: number = this.#bytesPerMs
      const begun = this.#clock()
      using either = linkSignals([signal, this.#changed.signal])
      try {
        await delay(owed / rate, undefined, { signal: either.signal })
        return
      } catch (error) {
        if (signal.aborted) throw error
        owed -= Math.max(0, this.#clock() - begun) * rate
      }
    }
  }

  #setRate(bytesPerSecond: number | undefined): void {
    if (bytesPerSecond !== undefined && !(bytesPerSecond > 0)) throw new RangeError('not a rate')
    this.#bytesPerMs = bytesPerSecond === undefined ? undefined : bytesPerSecond / 1000
    this.#burst = (bytesPerSecond ?? 0) / 4
  }
}
