/**
 * Who may fetch which chunk of one blob from the origin, as its coordinator decides: each chunk by one agent, spread over those that ask. Owns the asks that wait. Nothing
 * but a suggestion: an agent that is not answered goes to the origin by itself, and a chunk that is fetched twice is only wasted. Pure: time is passed
 * in, milliseconds, never backwards; it runs in the simulator too. Called by `LeaseDesk`.
 *
 * What agents say is believed as far as it costs little: who brings nothing, or says that it has what nobody can get, is given one
 * chunk at a time, after growing pauses.
 */
import type { ChunkRange, Lease, LeaseAsk } from '../../blob/ports.ts'
import { type Lateness, onTime } from '../../util/lateness.ts'
import { chunksIn, cutRanges, rangesOf } from './chunk-ranges.ts'
import { LeaseAccounts } from './lease-accounts.ts'
import type { LeaseAgent } from './lease-agent.ts'
import { LeaseBook } from './lease-book.ts'
import { LEASE_LIMITS, type LeaseLimits } from './lease-limits.ts'
import { LeasePace } from './lease-pace.ts'
import { LeaseRoll } from './lease-roll.ts'

export interface LeaseAnswer {
  readonly agent: string
  readonly lease: Lease
  /** Counts the answers to this agent. */
  readonly serial: number
  /** `second`: the chunk is out already, and late. */
  readonly kind: 'granted' | 'second' | 'empty'
}

export interface LeaseTableInit {
  /** Chunks of the blob. */
  readonly count: number
  readonly limits?: LeaseLimits
  /** Of the coordinator: what it has not read yet is not late. */
  readonly lateness?: Lateness
}

/** Late leases make room for others: for so many times the usual number. */
const WITH_LATE = 2
/** An answer that was under way for so long must have been lost. */
const CROSSING_MS = 1_500
/** Waiting asks are looked at again no sooner. */
const RECHECK_MS = 50
/** Pause between asks that find nothing: so long for each member, for one coordinator answers them all. */
const PAUSE_MS = { perMember: 2, most: 4_000 }

/** What a table, an agent with what it lacks, and a chunk take in memory. */
const BYTES = { table: 2_048, agent: 1_024, chunk: 384 } as const

export class LeaseTable {
  readonly #count: number
  readonly #limits: LeaseLimits
  readonly #book: LeaseBook
  readonly #pace: LeasePace
  readonly #roll: LeaseRoll
  readonly #accounts: LeaseAccounts
  /** Asks that wait, the first one first: for room, or for a chunk that may be granted. */
  readonly #waiting = new Set<LeaseAgent>()
  readonly #ready = new Set<LeaseAgent>()
  #recheckAt = Infinity
  #hasFreed = false

  constructor({ count, limits = LEASE_LIMITS, lateness = onTime }: LeaseTableInit) {
    this.#count = count
    this.#limits = limits
    this.#book = new LeaseBook(limits)
    this.#pace = new LeasePace(limits, lateness)
    this.#roll = new LeaseRoll(limits)
    this.#accounts = new LeaseAccounts({ book: this.#book, pace: this.#pace, roll: this.#roll }, limits)
  }

  /** Asks that wait for an answer. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Chunks that are out. */
  get out(): number {
    return this.#book.active.size
  }

  /** Leases that ran out, since the start. */
  get expired(): number {
    return this.#book.expired
  }

  /** Agents that asked lately. */
  get members(): number {
    return this.#roll.members
  }

  /** Whether the agent takes part. */
  has(agent: string): boolean {
    return this.#roll.get(agent) !== undefined
  }

  /** Nothing waits and nothing is out. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#book.active.size === 0
  }

  /** What takes memory: agents, and chunks that are out or were brought lately. */
  get size(): number {
    return this.#roll.size + this.#book.size
  }

  /** Estimated. */
  get bytes(): number {
    return BYTES.table + this.#roll.size * BYTES.agent + this.#book.size * BYTES.chunk
  }

  /**
   * A new ask takes the place of one that waits.
   * @param heard `serial` of the last answer that the agent had got: it says nothing about what was granted since
   * @returns answers, maybe not to this agent and not now
   */
  ask(id: string, { gaps, fetching, most }: LeaseAsk, now: number, heard = Infinity): LeaseAnswer[] {
    const agent = this.#roll.seen(id, now)
    if (agent === undefined) return [this.#empty(id, 0)]
    this.#countMembers(now)
    // it counts on from what another coordinator, or this one before a restart, has answered
    if (agent.serial === 0 && Number.isFinite(heard)) agent.serial = heard
    const bounds = { count: this.#count, maxRanges: this.#limits.maxRanges }
    const lacks = cutRanges(gaps, bounds)
    // an answer is under way, and answers this ask as well
    const isCrossing = heard < agent.serial && now - agent.answeredAt < CROSSING_MS
    const said = { gaps: lacks, fetching: cutRanges(fetching, bounds), most, heard, isCrossing }
    this.#hasFreed = this.#accounts.settle(agent, said, now) || this.#hasFreed
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

  /** Agents that brought chunks of these, another one each; the first chunk's first. */
  bringers(ranges: readonly ChunkRange[], most: number): string[] {
    const found = new Set<string>()
    let steps = this.#limits.maxSteps
    for (const chunk of chunksIn(ranges)) {
      steps -= 1
      if (found.size >= most || steps <= 0) break
      const bringer = this.#book.bringerOf(chunk)
      if (bringer !== undefined && this.#roll.get(bringer)?.isDoubted !== true) found.add(bringer)
    }
    return [...found]
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

  /** Nothing is granted here any more. @returns answers to all that wait */
  close(now: number): LeaseAnswer[] {
    const answers = [...this.#waiting].map((agent) => this.#empty(agent.id, this.#nextSerial(agent, now)))
    this.#waiting.clear()
    this.#ready.clear()
    return answers
  }

  #left(id: string, now: number): LeaseAnswer[] {
    this.#hasFreed = true
    const agent = this.#roll.get(id)
    if (agent !== undefined) this.#forget(agent)
    return this.#answers(now)
  }

  #forget(agent: LeaseAgent): void {
    this.#unqueue(agent)
    this.#roll.forget(agent)
  }

  #unqueue(agent: LeaseAgent): void {
    this.#waiting.delete(agent)
    this.#ready.delete(agent)
  }

  #answers(now: number): LeaseAnswer[] {
    this.#hasFreed = this.#accounts.sweep(now) || this.#hasFreed
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
    const isAlone = this.#roll.isAlone(now)
    const cap = isAlone ? this.#limits.maxPerAgent : this.#pace.cap(now)
    const atMost = isAlone || this.#roll.members === 1 ? cap : Math.ceil(cap / 2)
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
    for (const chunk of granted) this.#accounts.grant(agent, chunk, now)
    this.#unqueue(agent)
    const lease = {
      ranges: rangesOf(granted),
      forMs: this.#pace.leaseMs(this.#book.activeOf(agent.id)),
      members: this.#roll.members,
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
    const { freshMs } = this.#pace
    const listensSince = agent.joinedAt
    const counts = (bringer: string): boolean => this.#roll.get(bringer)?.isDoubted !== true
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
        if (grantable === 'again') this.#hasFreed = this.#accounts.doubt(chunk, now) || this.#hasFreed
        continue
      }
      const hold = this.#book.onlyHold(chunk, agent.id)
      const at =
        hold === undefined ? this.#book.freshUntil(chunk, { listensSince, freshMs }) : this.#accounts.lateAt(hold)
      if (at === undefined) continue
      if (hold !== undefined && now >= at) late ??= chunk
      else nextAt = Math.min(nextAt, at)
    }
    return { chunks, late: chunks.size > 0 || agent.isOnProbation ? undefined : late, nextAt }
  }

  /** Who has not asked for long takes no part; what it brought is still there. */
  #countMembers(now: number): void {
    for (const agent of this.#roll.silent(now, (id) => this.#book.activeOf(id) > 0)) {
      this.#book.withdraw(agent.id)
      this.#forget(agent)
    }
    this.#roll.count(now)
  }

  #nextSerial(agent: LeaseAgent, now: number): number {
    agent.answeredAt = now
    agent.serial += 1
    return agent.serial
  }

  #empty(agent: string, serial: number): LeaseAnswer {
    const forMs = Math.min(PAUSE_MS.most, PAUSE_MS.perMember * this.#roll.members)
    return { agent, lease: { ranges: [], forMs, members: Math.max(1, this.#roll.members) }, serial, kind: 'empty' }
  }
}
