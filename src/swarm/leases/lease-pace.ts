/**
 * How fast the origin gives chunks of one blob to all agents together: how many may be out so that its link is full but no chunk takes long, and how long things may take.
 * Pure: time is passed in, milliseconds. Called by `LeaseTable` and `LeaseAccounts`.
 */
import { type Lateness, onTime, patience } from '../../util/lateness.ts'
import type { LeaseLimits } from './lease-limits.ts'

const WINDOW_MS = 2_000
const STEP_MS = 50
const MIN_WINDOW_MS = 100
const MAX_SAMPLES = 32
/** A slow origin is not a distant one; before anything has come it may be one. */
const MAX_LEAST_MS = 500
/** One refusal of the origin meets several agents. */
const HALVE_ONCE_MS = 500
/** After the origin refused: chunks per second, or as a part of what is left. */
const RECOVER = { perSecond: 0.5, part: 0.05 }
/** So many times what a chunk takes: until it is late, until its lease ends, until everybody has heard of it. */
const LATE_TIMES = 3
const LEASE_TIMES = 4
const FRESH_TIMES = 3

type PaceLimits = Pick<
  LeaseLimits,
  'startOut' | 'maxOut' | 'aheadMs' | 'firstLeaseMs' | 'leaseMs' | 'maxLeaseMs' | 'lateMs' | 'freshMs'
>

interface Step {
  readonly at: number
  chunks: number
}

export class LeasePace {
  readonly #limits: PaceLimits
  readonly #lateness: Lateness
  #startedAt: number | undefined
  #steps: Step[] = []
  readonly #samples: number[] = []
  #median: number | undefined
  /** What a chunk takes at least: the way to the origin and back. */
  #least = Infinity
  /** Grows with each chunk that came soon: a distant origin needs more requests at once than its rate so far tells. */
  #probe: number
  #ceiling: { readonly chunks: number; readonly at: number } | undefined

  constructor(limits: PaceLimits, lateness: Lateness = onTime) {
    this.#limits = limits
    this.#lateness = lateness
    this.#probe = limits.startOut
  }

  /** Milliseconds for a chunk, the median of the last ones; undefined before the first. */
  get chunkMs(): number | undefined {
    return this.#median
  }

  /** A lease of an agent that brings so many chunks until then. */
  leaseMs(chunks: number): number {
    const { firstLeaseMs, leaseMs, maxLeaseMs } = this.#limits
    const shortest = patience(this.#median === undefined ? firstLeaseMs : leaseMs, this.#lateness.ms)
    return Math.ceil(Math.min(maxLeaseMs, Math.max(shortest, LEASE_TIMES * chunks * (this.#median ?? 0))))
  }

  /** From the grant until the last of so many chunks is late. */
  lateMs(chunks: number): number {
    return Math.max(patience(this.#limits.lateMs, this.#lateness.ms), LATE_TIMES * chunks * (this.#median ?? 0))
  }

  /** News of a chunk take at most. */
  get freshMs(): number {
    return Math.max(patience(this.#limits.freshMs, this.#lateness.ms), FRESH_TIMES * (this.#median ?? 0))
  }

  /** Chunks were granted while none was out. */
  started(now: number): void {
    if (now - (this.#steps.at(-1)?.at ?? -Infinity) > WINDOW_MS) this.#startedAt = now
  }

  /** @param leaseMs from the grant until it came; @param chunkMs its share of the time in which its agent brought several */
  brought(chunk: { readonly leaseMs: number; readonly chunkMs: number }, now: number): void {
    const last = this.#steps.at(-1)
    if (last !== undefined && now - last.at < STEP_MS) last.chunks += 1
    else this.#steps.push({ at: now, chunks: 1 })
    this.#forget(now)
    this.#samples.push(chunk.chunkMs)
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift()
    const sorted = this.#samples.toSorted((a, b) => a - b)
    this.#median = sorted[Math.floor(sorted.length / 2)]
    this.#least = Math.min(this.#least, chunk.chunkMs)
    if (chunk.leaseMs < 0.8 * this.#aheadMs) this.#probe = Math.min(this.cap(now), this.#probe) + 1
    else this.#probe = Math.max(this.#limits.startOut, this.#probe - 1)
  }

  /** The origin refused. */
  refused(now: number): void {
    if (this.#ceiling !== undefined && now - this.#ceiling.at < HALVE_ONCE_MS) return
    this.#ceiling = { chunks: Math.max(1, Math.floor(this.cap(now) / 2)), at: now }
    this.#probe = this.#limits.startOut
  }

  /** How many chunks may be out. */
  cap(now: number): number {
    const { startOut, maxOut } = this.#limits
    const wanted = Math.max(startOut, this.#probe, Math.ceil((this.#perSecond(now) * this.#aheadMs) / 1_000))
    return Math.max(1, Math.min(maxOut, wanted, this.#ceilingAt(now)))
  }

  get #aheadMs(): number {
    return this.#limits.aheadMs + Math.min(MAX_LEAST_MS, this.#least)
  }

  #ceilingAt(now: number): number {
    if (this.#ceiling === undefined) return Infinity
    const { chunks, at } = this.#ceiling
    const perSecond = Math.max(RECOVER.perSecond, chunks * RECOVER.part)
    return Math.floor(chunks + ((now - at) / 1_000) * perSecond)
  }

  #perSecond(now: number): number {
    this.#forget(now)
    const since = Math.max(this.#startedAt ?? now, now - WINDOW_MS)
    const chunks = this.#steps.reduce((sum, step) => sum + step.chunks, 0)
    return (chunks * 1_000) / Math.max(MIN_WINDOW_MS, now - since)
  }

  #forget(now: number): void {
    const from = this.#steps.findIndex(({ at }) => at > now - WINDOW_MS)
    if (from < 0) this.#steps = []
    else if (from > 0) this.#steps.splice(0, from)
  }
}
