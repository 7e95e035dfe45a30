const SLOT_MS = 250
const SLOTS = 16

/** Bytes per second over the last four seconds. The time is passed in, in milliseconds; it may jump. */
export class RateMeter {
  readonly #bytes = new Float64Array(SLOTS)
  readonly #startedAt: number
  #slot: number

  constructor(now: number) {
    this.#startedAt = now
    this.#slot = Math.floor(now / SLOT_MS)
  }

  add(bytes: number, now: number): void {
    this.#advance(now)
    const at = this.#slot % SLOTS
    this.#bytes[at] = (this.#bytes[at] ?? 0) + bytes
  }

  /** Before four seconds have passed, over what has passed. */
  bytesPerSecond(now: number): number {
    this.#advance(now)
    const ms = Math.min(SLOTS * SLOT_MS, Math.max(SLOT_MS, now - this.#startedAt))
    let sum = 0
    for (const bytes of this.#bytes) sum += bytes
    return (sum * 1_000) / ms
  }

  #advance(now: number): void {
    const slot = Math.floor(now / SLOT_MS)
    // set back, by a second or by years
    const isOver = slot - this.#slot >= SLOTS || slot < this.#slot
    if (isOver) this.#bytes.fill(0)
    else for (let passed = this.#slot + 1; passed <= slot; passed++) this.#bytes[passed % SLOTS] = 0
    this.#slot = slot
  }
}
