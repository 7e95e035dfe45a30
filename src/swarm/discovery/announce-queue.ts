/**
 * Which key to announce next, and when. Pure: the clock and what has changed in the swarm come in, a key comes out.
 *
 * New keys go first, the newest first: somebody may be waiting for them. What was announced comes again at half of
 * its record's life, and earlier when the swarm has changed so much that the agents which hold the record may not be
 * those who are asked for it any more. A bucket of tokens bounds the rate, so that the CPU stays with pulls.
 */
import type { Clock } from '../../util/clock.ts'

export interface AnnounceQueueInit {
  /** How long a record is good, milliseconds. */
  readonly validityMs: number
  /** Keys at once: the blobs of an image. */
  readonly burst: number
  readonly perSecond: number
  readonly maxKeys: number
}

interface Entry {
  /** Nobody has taken it yet. */
  readonly isFresh: boolean
  /** Undefined: not announced yet. */
  readonly announced: { readonly at: number; readonly turnover: number; readonly audience: number } | undefined
  readonly dueAt: number
  readonly failures: number
}

/** Members that come and go, counted since the start, and how many there are. */
export interface SwarmState {
  readonly turnover: number
  readonly size: number
}

export type NextKey<Key> =
  | { readonly type: 'announce'; readonly key: Key }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'idle' }

const RETRY_MS = 1_000
const MAX_RETRY_MS = 10 * 60_000
/** Between two looks at a swarm that changes. */
const CHANGE_MS = 10_000
const SLACK = 64

export class AnnounceQueue<Key> {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #init: AnnounceQueueInit
  readonly #entries = new Map<Key, Entry>()
  /** Not announced yet, the newest last; may hold what was removed or taken since. */
  #fresh: Key[] = []
  #tokens: number
  #tokensAt: number

  constructor(components: { clock: Clock; random: () => number }, init: AnnounceQueueInit) {
    this.#clock = components.clock
    this.#random = components.random
    this.#init = init
    this.#tokens = init.burst
    this.#tokensAt = components.clock()
  }

  get size(): number {
    return this.#entries.size
  }

  /** @returns whether that is news */
  add(key: Key): boolean {
    if (this.#entries.has(key)) return false
    if (this.#entries.size >= this.#init.maxKeys) return false
    this.#entries.set(key, { isFresh: true, announced: undefined, dueAt: this.#clock(), failures: 0 })
    this.#fresh.push(key)
    // an agent without peers takes nothing out, while its store gains and loses blobs
    if (this.#fresh.length > 2 * this.#entries.size + SLACK) this.#fresh = this.#stillFresh()
    return true
  }

  remove(key: Key): void {
    this.#entries.delete(key)
  }

  /** Takes a token when it gives a key. */
  next(swarm: SwarmState): NextKey<Key> {
    const found = this.#mostUrgent(swarm)
    if (found === undefined) return { type: 'idle' }
    if (found.inMs > 0) return { type: 'wait', ms: found.inMs }
    const missing = 1 - this.#refill()
    if (missing > 0) return { type: 'wait', ms: Math.ceil((missing * 1000) / this.#init.perSecond) }
    this.#tokens -= 1
    // Whoever takes the key has it until `done` or `failed`.
    this.#update(found.key, (entry) => ({ ...entry, isFresh: false, dueAt: Number.POSITIVE_INFINITY }))
    return { type: 'announce', key: found.key }
  }

  done(key: Key, swarm: SwarmState): void {
    const at = this.#clock()
    // Spread, so that what was announced together does not come back together.
    const dueAt = at + (this.#init.validityMs / 2) * (0.8 + 0.4 * this.#random())
    const announced = { at, turnover: swarm.turnover, audience: Math.max(1, swarm.size) }
    this.#update(key, () => ({ isFresh: false, announced, dueAt, failures: 0 }))
  }

  failed(key: Key): void {
    this.#update(key, ({ announced, failures }) => ({
      isFresh: false,
      announced,
      failures: failures + 1,
      dueAt: this.#clock() + Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** failures),
    }))
  }

  #mostUrgent(swarm: SwarmState): { key: Key; inMs: number } | undefined {
    const now = this.#clock()
    const newest = this.#newest()
    if (newest !== undefined) return { key: newest, inMs: 0 }
    let best: { key: Key; inMs: number } | undefined
    for (const [key, entry] of this.#entries) {
      const inMs = this.#inMs(dueOf(entry, swarm) - now)
      if (best === undefined || inMs < best.inMs) best = { key, inMs }
      if (inMs <= 0) break
    }
    return best === undefined || best.inMs === Number.POSITIVE_INFINITY ? undefined : best
  }

  /** Each once, where it was added last. */
  #stillFresh(): Key[] {
    const fresh = this.#fresh.filter((key) => this.#entries.get(key)?.isFresh === true)
    return [...new Set(fresh.toReversed())].toReversed()
  }

  #newest(): Key | undefined {
    for (;;) {
      const key = this.#fresh.at(-1)
      if (key === undefined || this.#entries.get(key)?.isFresh === true) return key
      this.#fresh.pop()
    }
  }

  /** Nothing is due so late: the clock was set back, and records expire meanwhile. */
  #inMs(ms: number): number {
    return Number.isFinite(ms) && ms > Math.max(this.#init.validityMs, MAX_RETRY_MS) ? 0 : ms
  }

  #update(key: Key, change: (entry: Entry) => Entry): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.#entries.set(key, change(entry))
  }

  #refill(): number {
    const now = this.#clock()
    const passed = Math.max(0, now - this.#tokensAt)
    this.#tokens = Math.min(this.#init.burst, this.#tokens + (passed * this.#init.perSecond) / 1000)
    this.#tokensAt = now
    return this.#tokens
  }
}

/** Half of those who are asked for a key are others by the time that as many came and went as there were. */
function dueOf({ announced, dueAt }: Entry, swarm: SwarmState): number {
  if (announced === undefined || dueAt === Number.POSITIVE_INFINITY) return dueAt
  const hasChanged = swarm.turnover - announced.turnover >= announced.audience
  return hasChanged ? Math.min(dueAt, announced.at + CHANGE_MS) : dueAt
}
