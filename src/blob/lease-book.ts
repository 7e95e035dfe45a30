/** The leases of one transfer, and the ask that waits for its answer. Owned by `TransferRuns`. */
import type { Clock } from '../util/clock.ts'
import { type Lateness, onTime, patience } from '../util/lateness.ts'
import { MIN_CHUNK_BYTES } from './chunk-plan.ts'
import type { LeasesView } from './chunk-scheduler.ts'
import type { Lease, LeaseAsk } from './ports.ts'

/** What comes less often does not show that others bring the rest. */
const FLOW_MS = 1_000
/** Behind a slow link, or for a large one, a chunk takes long: so much of it shows that something comes. */
export const PROGRESS_BYTES = MIN_CHUNK_BYTES
/** An answer without a chunk says when the next ask is in order. */
const PAUSE_MS = { min: 50, max: 5_000 } as const

export interface LeaseBookComponents {
  readonly clock: Clock
  readonly lateness?: Lateness | undefined
}

export interface LeaseBookInit {
  readonly chunks: number
}

export class LeaseBook {
  readonly #clock: Clock
  readonly #lateness: Lateness
  readonly #chunks: number
  /** By chunk, until when it is this agent's to fetch. */
  readonly #leases = new Map<number, number>()
  /** Leased chunks of which the others do not know that they have arrived. */
  readonly #owed = new Set<number>()
  #isAsking = false
  #pauseUntil = Number.NEGATIVE_INFINITY
  #members = 1
  #cameAt: number
  #progress = 0
  #progressedAt = Number.NEGATIVE_INFINITY
  #heardAt = Number.NEGATIVE_INFINITY
  #withoutLeave = 0
  #allWithoutLeave = 0
  #ownAt = Number.NEGATIVE_INFINITY

  constructor(components: LeaseBookComponents, init: LeaseBookInit) {
    this.#clock = components.clock
    this.#lateness = components.lateness ?? onTime
    this.#chunks = init.chunks
    this.#cameAt = components.clock()
  }

  /** A chunk is here and good. @returns whether it is from the origin, and without a lease */
  came(index: number, from: 'origin' | 'peer'): boolean {
    if (from === 'origin' && !this.#leases.has(index)) {
      this.#withoutLeave += 1
      this.#allWithoutLeave += 1
      return true
    }
    const now = this.#clock()
    if (now - this.#cameAt < patience(FLOW_MS, this.#lateness.ms)) this.#withoutLeave = 0
    this.#cameAt = now
    if (from === 'origin') this.#ownAt = now
    return false
  }

  /** Bytes of a chunk have arrived, that are not checked yet. */
  progressed(index: number, bytes: number, from: 'origin' | 'peer'): void {
    if (from === 'origin' && !this.#leases.has(index)) return
    this.#progress += bytes
    if (this.#progress < PROGRESS_BYTES) return
    this.#progress = 0
    this.#progressedAt = this.#clock()
  }

  /** A peer has more than before. */
  heard(): void {
    this.#heardAt = this.#clock()
  }

  asked({ most }: LeaseAsk): void {
    this.#isAsking = most > 0
    this.#owed.clear()
  }

  /** Ranges outside the blob are nobody's. An answer with nothing new is followed by a pause: else the next ask comes at once. */
  leased({ ranges, forMs, members }: Lease): void {
    const now = this.#clock()
    this.#isAsking = false
    this.#members = members
    let isNew = false
    for (const { from, to } of forMs > 0 ? ranges : []) {
      for (let chunk = Math.max(0, from); chunk < Math.min(this.#chunks, to); chunk++) {
        isNew ||= !this.#has(chunk, now)
        this.#leases.set(chunk, now + forMs)
        this.#owed.add(chunk)
      }
    }
    const pauseMs = ranges.length === 0 ? Math.min(PAUSE_MS.max, Math.max(PAUSE_MS.min, forMs)) : PAUSE_MS.min
    if (!isNew) this.#pauseUntil = now + pauseMs
  }

  /** @param isSettled whether the others that want the blob are known */
  view(now: number, isSettled: boolean): LeasesView {
    return {
      has: (index) => this.#has(index, now),
      mayAsk: isSettled && !this.#isAsking && this.#pauseUntil <= now,
      isOwing: this.#owed.size > 0,
      members: this.#members,
      quietMs: now - Math.max(this.#cameAt, this.#progressedAt),
      unheardMs: now - this.#heardAt,
      withoutLeave: this.#withoutLeave,
      allWithoutLeave: this.#allWithoutLeave,
      ownMs: now - this.#ownAt,
      lateMs: this.#lateness.ms,
    }
  }

  #has(index: number, now: number): boolean {
    return (this.#leases.get(index) ?? Number.NEGATIVE_INFINITY) > now
  }
}
