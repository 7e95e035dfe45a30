/**
 * Who may fetch which chunk of one blob from the origin, as its coordinator decides: each chunk by one agent, spread over those that ask. Owns the asks that wait. Nothing
 * but a suggestion: an agent that is not answered goes to the origin by itself, and a chunk that is fetched twice is only wasted. Pure: time is passed
 * in, milliseconds, never backwards; it runs in the simulator too. Called by `LeaseDesk`.
 *
 * What agents say is believed as far as it costs little: who brings nothing, or says that it has what nobody can get, is given one
 * chunk at a time, after growing pauses.
 */
import type { ChunkRange, Lease, LeaseAsk } from '../../blob/ports.ts'
import { chunksIn, cutRanges, includesChunk, rangesOf } from './chunk-ranges.ts'
import { LeaseAgent } from './lease-agent.ts'
import { type Hold, LeaseBook } from './lease-book.ts'
import { LEASE_LIMITS, type LeaseLimits } from './lease-limits.ts'
import { LeasePace } from './lease-pace.ts'

export interface LeaseAnswer {
  readonly agent: string
  readonly lease: Lease
  /** Counts the answers to this agent. */
  readonly serial: number
  /** `second`: the chunk is out already, and late. */
  readonly kind: 'granted' | 'second' | 'empty'
}

interface Said extends Omit<LeaseAsk, 'size'> {
  readonly heard: number
  /** It did not know of the last answer. */
  readonly isCrossing: boolean
}

export interface LeaseTableInit {
  /** Chunks of the blob. */
  readonly count: number
  readonly limits?: LeaseLimits
}

/** Late leases make room for others: for so many times the usual number. */
const WITH_LATE = 2
const LATE_TIMES = 3
const LEASE_TIMES = 4
const FRESH_TIMES = 3
/** An agent's refusals by the origin count once in so long: nobody can slow down the others by giving back. */
const REFUSED_MS = 10_000
const CROSSING_MS = 500
const MAX_STRUCK = 256
/** Waiting asks are looked at again no sooner. */
const RECHECK_MS = 50
/** Pause between asks that find nothing: so long for each member, for one coordinator answers them all. */
const PAUSE_MS = { perMember: 2, most: 4_000 }

export class LeaseTable {
  readonly #count: number
  readonly #limits: LeaseLimits
  readonly #book: LeaseBook
  readonly #pace: LeasePace
  /** In the order of their last asks. */
  readonly #agents = new Map<string, LeaseAgent>()
  /** Asks that wait, the first one first: for room, or for a chunk that may be granted. */
  readonly #waiting = new Set<LeaseAgent>()
  readonly #ready = new Set<LeaseAgent>()
  /** Agents that have left and did not bring what they took. */
  readonly #struck = new Map<string, LeaseAgent>()
  #members = 0
  #companyAt: number | undefined
  #recheckAt = Infinity
  #hasFreed = false

  constructor({ count, limits = LEASE_LIMITS }: LeaseTableInit) {
    this.#count = count
    this.#limits = limits
    this.#book = new LeaseBook(limits)
    this.#pace = new LeasePace(limits)
  }

  /** Asks that wait for an answer. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Chunks that are out. */
  get out(): number {
    return this.#book.active.size
  }

  /** Agents that asked lately. */
  get members(): number {
    return this.#members
  }

  /** Whether the agent takes part. */
  has(agent: string): boolean {
    return this.#agents.has(agent)
  }

  /** Nothing waits and nothing is out. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#book.active.size === 0
  }

  /** What takes memory: agents, and chunks that are out or were brought lately. */
  get size(): number {
    return this.#agents.size + this.#book.size
  }

  /**
   * A new ask takes the place of one that waits.
   * @param heard `serial` of the last answer that the agent had got: it says nothing about what was granted since
   * @returns answers, maybe not to this agent and not now
   */
  ask(id: string, { gaps, fetching, most }: LeaseAsk, now: number, heard = Infinity): LeaseAnswer[] {
    const agent = this.#seen(id, now)
    if (agent === undefined) return [this.#empty(id, 0)]
    // it counts on from what another coordinator, or this one before a restart, has answered
    if (agent.serial === 0 && Number.isFinite(heard)) agent.serial = heard
    const bounds = { count: this.#count, maxRanges: this.#limits.maxRanges }
    const lacks = cutRanges(gaps, bounds)
    const fetches = cutRanges(fetching, bounds)
    // an answer is under way, and answers this ask as well; later it must have been lost
    const isCrossing = heard < agent.serial && now - agent.answeredAt < CROSSING_MS
    this.#settle(agent, { gaps: lacks, fetching: fetches, most, heard, isCrossing }, now)
    this.#confirm(agent, lacks)
    this.#adopt(agent, fetches, now)
    agent.gaps = lacks
    if (isCrossing) return this.#answers(now)
    agent.most = Math.max(0, Math.min(this.#limits.maxPerAgent, Math.floor(most) || 0))
    if (agent.most === 0 || lacks.length === 0) {
      this.#unqueue(agent)
      return [this.#empty(id, this.#nextSerial(agent, now)), ...this.#answers(now)]
    }
    if (!this.#waiting.has(agent)) agent.askedAt = now
    this.#waiting.add(agent)
    this.#ready.add(agent)
    return this.#answers(now)
  }

  /** The agent is gone. */
  drop(id: string, now: number): LeaseAnswer[] {
    this.#book.drop(id)
    return this.#left(id, now)
  }

  /** The agent asks no more, and what it brought is still to be had. */
  withdraw(id: string, now: number): LeaseAnswer[] {
    this.#book.withdraw(id)
    return this.#left(id, now)
  }

  /** Time has passed: to be called a few times per second while something waits. */
  tick(now: number): LeaseAnswer[] {
    return this.#answers(now)
  }

  #left(id: string, now: number): LeaseAnswer[] {
    this.#hasFreed = true
    const agent = this.#agents.get(id)
    if (agent !== undefined) this.#forget(agent)
    return this.#answers(now)
  }

  /** But not what it did. */
  #forget(agent: LeaseAgent): void {
    this.#unqueue(agent)
    this.#agents.delete(agent.id)
    agent.gaps = []
    if (!agent.isOnProbation) return
    this.#struck.set(agent.id, agent)
    const [oldest] = this.#struck.keys()
    if (oldest !== undefined && this.#struck.size > MAX_STRUCK) this.#struck.delete(oldest)
  }

  #seen(id: string, now: number): LeaseAgent | undefined {
    const known = this.#agents.get(id)
    if (known === undefined && this.#agents.size >= this.#limits.maxAgents) return undefined
    const agent = known ?? this.#struck.get(id) ?? new LeaseAgent(id)
    if (known === undefined) agent.joinedAt = now
    this.#struck.delete(id)
    agent.seenAt = now
    this.#agents.delete(id)
    this.#agents.set(id, agent)
    this.#countMembers(now)
    return agent
  }

  #unqueue(agent: LeaseAgent): void {
    this.#waiting.delete(agent)
    this.#ready.delete(agent)
  }

  /** What became of what it was granted. */
  #settle(agent: LeaseAgent, { gaps, fetching, most, heard, isCrossing }: Said, now: number): void {
    const brought: Hold[] = []
    let isRefused = false
    for (const hold of this.#book.holdsOf(agent.id)) {
      if (isCrossing && hold.serial > heard) continue
      if (includesChunk(fetching, hold.chunk)) this.#renew(hold, now)
      else if (includesChunk(gaps, hold.chunk)) {
        isRefused ||= !hold.isExpired && hold.serial <= heard
        this.#book.giveBack(hold)
        this.#hasFreed = true
      } else brought.push(hold)
    }
    for (const hold of brought) {
      const leaseMs = now - hold.grantedAt
      this.#book.bring(hold, now)
      this.#pace.brought({ leaseMs, chunkMs: leaseMs / Math.max(hold.position, brought.length) }, now)
    }
    if (brought.length > 0) agent.brought(brought.length)
    // who fetches on, or wants no more, has only changed its mind
    if (isRefused && most > 0 && brought.length === 0 && fetching.length === 0) this.#refused(agent, now)
  }

  #refused(agent: LeaseAgent, now: number): void {
    if (this.#members > 1) agent.failed(now, this.#limits)
    if (now - agent.refusedAt < REFUSED_MS) return
    agent.refusedAt = now
    this.#pace.refused(now)
  }

  #renew(hold: Hold, now: number): void {
    if (hold.isExpired) return
    hold.until = Math.min(hold.grantedAt + this.#limits.maxLeaseMs, now + this.#leaseMs(hold.position))
  }

  /** Chunks that it no longer lacks are to be had from who brought them. */
  #confirm(agent: LeaseAgent, gaps: readonly ChunkRange[]): void {
    for (const [chunk, bringer] of this.#book.unconfirmed) {
      if (bringer === agent.id || !includesChunk(agent.gaps, chunk) || includesChunk(gaps, chunk)) continue
      this.#book.confirm(chunk)
      this.#agents.get(bringer)?.confirmed()
    }
  }

  /** Leases of another coordinator: so few of them that nobody can take everything by naming it. */
  #adopt(agent: LeaseAgent, fetching: readonly ChunkRange[], now: number): void {
    if (agent.isOnProbation) return
    const held = new Set(this.#book.holdsOf(agent.id).map(({ chunk }) => chunk))
    let left = this.#pace.cap(now) - held.size
    let steps = this.#limits.maxSteps
    for (const chunk of chunksIn(fetching)) {
      steps -= 1
      if (left <= 0 || steps <= 0) return
      if (held.has(chunk) || this.#book.isOut(chunk)) continue
      this.#grant(agent, chunk, now)
      left -= 1
    }
  }

  #answers(now: number): LeaseAnswer[] {
    this.#sweep(now)
    this.#countMembers(now)
    if (this.#hasFreed || now >= this.#recheckAt) {
      this.#hasFreed = false
      this.#recheckAt = Infinity
      for (const agent of this.#waiting) this.#ready.add(agent)
    }
    const answers: LeaseAnswer[] = []
    this.#share(now, answers)
    for (const agent of this.#waiting) {
      if (now - agent.askedAt < this.#limits.pendingMs) break
      this.#unqueue(agent)
      answers.push(this.#empty(agent.id, this.#nextSerial(agent, now)))
    }
    return answers
  }

  /** First everybody's share, then the rest of the room in the order of asking. */
  #share(now: number, answers: LeaseAnswer[]): void {
    if (this.#ready.size === 0) return
    const isAlone = this.#isAlone(now)
    const cap = isAlone ? this.#limits.maxPerAgent : this.#pace.cap(now)
    const atMost = isAlone || this.#members === 1 ? cap : Math.ceil(cap / 2)
    const share = Math.max(1, Math.floor(cap / Math.max(1, this.#ready.size)))
    for (const limit of [this.#ready.size > 1 ? share : atMost, atMost]) {
      let room = this.#room(cap, atMost)
      for (const agent of this.#ready) {
        if (room <= 0) return
        const left = Math.min(
          room,
          agent.most,
          (isAlone ? limit : Math.min(limit, agent.allowance)) - this.#book.activeOf(agent.id),
        )
        if (agent.isOnProbation && (left <= 0 || now < agent.waitsUntil(this.#limits))) {
          this.#block(agent, now, agent.waitsUntil(this.#limits))
        } else if (left > 0) {
          this.#give(agent, left, now, answers)
          room = this.#room(cap, atMost)
        }
      }
    }
  }

  #room(cap: number, mostOfAgent: number): number {
    const { inTime, late } = this.#book.out(mostOfAgent)
    return Math.min(cap - inTime, WITH_LATE * cap - inTime - late)
  }

  #give(agent: LeaseAgent, most: number, now: number, answers: LeaseAnswer[]): void {
    const room = this.#limits.maxPerAgent - this.#book.heldBy(agent.id)
    const { chunks, late, nextAt } = this.#pick(agent, Math.min(most, room), now)
    if (chunks.size === 0 && late === undefined) {
      this.#block(agent, now, nextAt)
      return
    }
    const granted = late === undefined ? [...chunks] : [late]
    const serial = this.#nextSerial(agent, now)
    for (const chunk of granted) this.#grant(agent, chunk, now)
    this.#unqueue(agent)
    const lease = {
      ranges: rangesOf(granted),
      forMs: this.#leaseMs(this.#book.activeOf(agent.id)),
      members: this.#members,
    }
    answers.push({ agent: agent.id, lease, serial, kind: late === undefined ? 'granted' : 'second' })
  }

  /** Waits until a chunk is free or `at`. */
  #block(agent: LeaseAgent, now: number, at: number): void {
    this.#ready.delete(agent)
    this.#recheckAt = Math.min(this.#recheckAt, Math.max(at, now + RECHECK_MS))
  }

  /** In the order of its gaps; else one that is out and late; else when there may be one. */
  #pick(
    agent: LeaseAgent,
    most: number,
    now: number,
  ): { readonly chunks: ReadonlySet<number>; readonly late: number | undefined; readonly nextAt: number } {
    const freshMs = this.#freshMs
    const listensSince = agent.joinedAt
    const counts = (bringer: string): boolean => this.#agents.get(bringer)?.isDoubted !== true
    const chunks = new Set<number>()
    let late: number | undefined
    let nextAt = Infinity
    let steps = this.#limits.maxSteps
    for (const chunk of chunksIn(agent.gaps)) {
      steps -= 1
      if (chunks.size >= most || steps <= 0) break
      const grantable = this.#book.grantable(chunk, agent.id, { now, listensSince, freshMs, counts })
      if (grantable !== 'no') {
        chunks.add(chunk)
        if (grantable === 'again') this.#doubt(chunk, now)
        continue
      }
      const hold = this.#book.onlyHold(chunk, agent.id)
      const at = hold === undefined ? this.#book.freshUntil(chunk, { listensSince, freshMs }) : this.#lateAt(hold)
      if (at === undefined) continue
      if (hold !== undefined && now >= at) late ??= chunk
      else nextAt = Math.min(nextAt, at)
    }
    return { chunks, late: chunks.size > 0 || agent.isOnProbation ? undefined : late, nextAt }
  }

  /** It was brought long enough ago for everybody to have heard of it. */
  #doubt(chunk: number, now: number): void {
    const bringer = this.#book.bringerOf(chunk)
    if (bringer === undefined || !this.#book.unconfirmed.has(chunk)) return
    this.#agents.get(bringer)?.doubted(now, this.#limits)
    this.#hasFreed = true
  }

  #grant(agent: LeaseAgent, chunk: number, now: number): void {
    if (this.#book.active.size === 0) this.#pace.started(now)
    const until = now + this.#leaseMs(this.#book.activeOf(agent.id) + 1)
    this.#book.grant(agent.id, chunk, { now, until, serial: agent.serial })
  }

  /** What is late makes room for others; what ran out is free. */
  #sweep(now: number): void {
    for (const hold of this.#book.active) {
      if (now >= hold.until) {
        this.#book.expire(hold)
        this.#hasFreed = true
        if (this.#members > 1) this.#agents.get(hold.agent)?.failed(now, this.#limits)
      } else if (this.#pace.chunkMs !== undefined && now >= this.#lateAt(hold)) this.#book.markLate(hold)
    }
    this.#book.prune(now, this.#freshMs)
  }

  #countMembers(now: number): void {
    for (const [id, agent] of this.#agents) {
      if (now - agent.seenAt < this.#limits.memberMs) break
      if (this.#book.activeOf(id) > 0) {
        // what it holds runs out first
        agent.seenAt = now - this.#limits.memberMs / 2
        this.#agents.delete(id)
        this.#agents.set(id, agent)
        continue
      }
      this.#book.withdraw(id)
      this.#forget(agent)
    }
    this.#members = this.#agents.size
    this.#companyAt ??= now
    if (this.#members > 1) this.#companyAt = now
  }

  #isAlone(now: number): boolean {
    return this.#members === 1 && now - (this.#companyAt ?? now) >= this.#limits.aloneMs
  }

  #lateAt(hold: Hold): number {
    return hold.grantedAt + Math.max(this.#limits.lateMs, LATE_TIMES * hold.position * (this.#pace.chunkMs ?? 0))
  }

  #leaseMs(chunks: number): number {
    const { leaseMs, maxLeaseMs } = this.#limits
    return Math.ceil(Math.min(maxLeaseMs, Math.max(leaseMs, LEASE_TIMES * chunks * (this.#pace.chunkMs ?? 0))))
  }

  get #freshMs(): number {
    return Math.max(this.#limits.freshMs, FRESH_TIMES * (this.#pace.chunkMs ?? 0))
  }

  #nextSerial(agent: LeaseAgent, now: number): number {
    agent.answeredAt = now
    agent.serial += 1
    return agent.serial
  }

  #empty(agent: string, serial: number): LeaseAnswer {
    const forMs = Math.min(PAUSE_MS.most, PAUSE_MS.perMember * this.#members)
    return { agent, lease: { ranges: [], forMs, members: Math.max(1, this.#members) }, serial, kind: 'empty' }
  }
}
