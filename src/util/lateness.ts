/**
 * How late this process is: where a core is shared by many, answers wait unread and others seem to be slow. Owns one timer, which runs only while somebody asks. Handed to
 * whatever waits for others, so that it waits longer instead of doing without them.
 */
import type { Clock } from './clock.ts'

export interface Lateness {
  /** By so much timers of this process were late of late, at worst. Milliseconds. */
  readonly ms: number
}

export const onTime: Lateness = { ms: 0 }

const TICK_MS = 100
/** After so long without a question nobody wants to know. */
const ASKED_MS = 5_000
const HALF_LIFE_MS = 2_000
/** What is shorter is a normal turn of the event loop. */
const NORMAL_MS = 20
/** An answer takes its turn here, at the other end, and once more here. */
const TURNS = 3
const MOST_TIMES = 4

/** So long it is waited for others where `baseMs` would do in a process that is not late; at most four times as long. */
export function patience(baseMs: number, lateMs: number): number {
  return Math.min(MOST_TIMES * baseMs, baseMs + TURNS * Math.max(0, lateMs))
}

export class OwnLateness implements Lateness {
  readonly #clock: Clock
  #timer: NodeJS.Timeout | undefined
  #dueAt = 0
  #askedAt = 0
  #worst = 0
  #worstAt = 0

  /** @param components.clock must not be set back */
  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  get ms(): number {
    const now = this.#clock()
    this.#askedAt = now
    if (this.#timer === undefined) this.#arm(now)
    const pending = now - this.#dueAt
    return Math.max(this.#fading(now), pending < NORMAL_MS ? 0 : pending)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #fading(now: number): number {
    return this.#worst * 0.5 ** ((now - this.#worstAt) / HALF_LIFE_MS)
  }

  #arm(now: number): void {
    this.#dueAt = now + TICK_MS
    this.#timer = setTimeout(() => this.#tick(), TICK_MS).unref()
  }

  #tick(): void {
    const now = this.#clock()
    const late = now - this.#dueAt
    if (late >= NORMAL_MS && late >= this.#fading(now)) {
      this.#worst = late
      this.#worstAt = now
    }
    this.#timer = undefined
    if (now - this.#askedAt < ASKED_MS) this.#arm(now)
  }
}
