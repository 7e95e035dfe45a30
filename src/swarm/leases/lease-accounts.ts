/**
 * What agents were granted, and what became of it: settles each ask with the book, the pace and the agents. Invariant: whatever an agent says of a lease is accounted for
 * once. Owns nothing. Pure: time is passed in, milliseconds. Called by `LeaseTable`.
 */
import type { ChunkRange } from '../../blob/ports.ts'
import { chunksIn, includesChunk } from './chunk-ranges.ts'
import type { LeaseAgent } from './lease-agent.ts'
import type { Hold, LeaseBook } from './lease-book.ts'
import type { LeaseLimits } from './lease-limits.ts'
import type { LeasePace } from './lease-pace.ts'
import type { LeaseRoll } from './lease-roll.ts'

/** What an ask says of the leases before it. */
export interface Said {
  readonly gaps: readonly ChunkRange[]
  readonly fetching: readonly ChunkRange[]
  readonly most: number
  readonly heard: number
  /** It did not know of the last answer. */
  readonly isCrossing: boolean
}

/** An agent's refusals by the origin count once in so long: nobody can slow down the others by giving back. */
const REFUSED_MS = 10_000

export interface LeaseAccountsComponents {
  readonly book: LeaseBook
  readonly pace: LeasePace
  readonly roll: Pick<LeaseRoll, 'get' | 'members'>
}

export class LeaseAccounts {
  readonly #components: LeaseAccountsComponents
  readonly #limits: LeaseLimits

  constructor(components: LeaseAccountsComponents, limits: LeaseLimits) {
    this.#components = components
    this.#limits = limits
  }

  grant(agent: LeaseAgent, chunk: number, now: number): void {
    const { book, pace } = this.#components
    if (book.active.size === 0) pace.started(now)
    const until = now + pace.leaseMs(book.activeOf(agent.id) + 1)
    book.grant(agent.id, chunk, { now, until, serial: agent.serial })
  }

  /** @returns whether chunks are free again */
  settle(agent: LeaseAgent, said: Said, now: number): boolean {
    const hasFreed = this.#settleHolds(agent, said, now)
    this.#confirm(agent, said.gaps)
    this.#adopt(agent, said.fetching, now)
    agent.gaps = said.gaps
    return hasFreed
  }

  /** What is late makes room for others; what ran out is free. @returns whether something ran out */
  sweep(now: number): boolean {
    const { book, pace, roll } = this.#components
    let hasFreed = false
    for (const hold of book.active) {
      if (now >= hold.until) {
        book.expire(hold)
        hasFreed = true
        if (roll.members > 1) roll.get(hold.agent)?.failed(now, this.#limits)
      } else if (pace.chunkMs !== undefined && now >= this.lateAt(hold)) book.markLate(hold)
    }
    book.prune(now, pace.freshMs)
    return hasFreed
  }

  lateAt({ grantedAt, position }: Hold): number {
    return grantedAt + this.#components.pace.lateMs(position)
  }

  /** It was brought long enough ago for everybody to have heard of it. @returns whether its bringer is doubted for it */
  doubt(chunk: number, now: number): boolean {
    const { book, roll } = this.#components
    const bringer = book.bringerOf(chunk)
    if (bringer === undefined || !book.unconfirmed.has(chunk)) return false
    roll.get(bringer)?.doubted(now, this.#limits)
    return true
  }

  #settleHolds(agent: LeaseAgent, { gaps, fetching, most, heard, isCrossing }: Said, now: number): boolean {
    const { book, pace } = this.#components
    const brought: Hold[] = []
    let isRefused = false
    let hasFreed = false
    for (const hold of book.holdsOf(agent.id)) {
      if (isCrossing && hold.serial > heard) continue
      if (includesChunk(fetching, hold.chunk)) this.#renew(hold, now)
      else if (includesChunk(gaps, hold.chunk)) {
        isRefused ||= !hold.isExpired && hold.serial <= heard
        book.giveBack(hold)
        hasFreed = true
      } else brought.push(hold)
    }
    for (const hold of brought) {
      const leaseMs = now - hold.grantedAt
      book.bring(hold, now)
      pace.brought({ leaseMs, chunkMs: leaseMs / Math.max(hold.position, brought.length) }, now)
    }
    if (brought.length > 0) agent.brought(brought.length)
    // who fetches on, or wants no more, has only changed its mind
    if (isRefused && most > 0 && brought.length === 0 && fetching.length === 0) this.#refused(agent, now)
    return hasFreed
  }

  #refused(agent: LeaseAgent, now: number): void {
    const { pace, roll } = this.#components
    if (roll.members > 1) agent.failed(now, this.#limits)
    if (now - agent.refusedAt < REFUSED_MS) return
    agent.refusedAt = now
    pace.refused(now)
  }

  #renew(hold: Hold, now: number): void {
    if (hold.isExpired) return
    const { pace } = this.#components
    hold.until = Math.min(hold.grantedAt + this.#limits.maxLeaseMs, now + pace.leaseMs(hold.position))
  }

  /** Chunks that it no longer lacks are to be had from who brought them. */
  #confirm(agent: LeaseAgent, gaps: readonly ChunkRange[]): void {
    const { book, roll } = this.#components
    for (const [chunk, bringer] of book.unconfirmed) {
      if (bringer === agent.id || !includesChunk(agent.gaps, chunk) || includesChunk(gaps, chunk)) continue
      book.confirm(chunk)
      roll.get(bringer)?.confirmed()
    }
  }

  /** Leases of another coordinator: so few of them that nobody can take everything by naming it. */
  #adopt(agent: LeaseAgent, fetching: readonly ChunkRange[], now: number): void {
    if (agent.isOnProbation) return
    const { book, pace } = this.#components
    const held = new Set(book.holdsOf(agent.id).map(({ chunk }) => chunk))
    let left = pace.cap(now) - held.size
    let steps = this.#limits.maxSteps
    for (const chunk of chunksIn(fetching)) {
      steps -= 1
      if (left <= 0 || steps <= 0) return
      if (held.has(chunk) || book.isOut(chunk)) continue
      this.grant(agent, chunk, now)
      left -= 1
    }
  }
}
