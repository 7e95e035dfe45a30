/**
 * Which chunks of one blob are out, to whom, and which were brought lately. Owns leases and the memory of what came of them, which is of the size of what is out or was
 * brought lately. Invariant: a chunk is out to two agents only if the second one was granted as such. Pure: time is passed in, milliseconds. Called by `LeaseTable` and `LeaseAccounts`.
 */
import type { LeaseLimits } from './lease-limits.ts'

export interface Hold {
  readonly agent: string
  readonly chunk: number
  readonly grantedAt: number
  /** Of the answer that grants it. */
  readonly serial: number
  /** How many chunks its agent brings until then. */
  readonly position: number
  until: number
  isLate: boolean
  isExpired: boolean
}

interface ChunkState {
  holds: Hold[]
  hasSecond: boolean
  bringer: string | undefined
  broughtAt: number
  brings: number
}

/** Free; or `again`: its bringer said that it has it, and others still lack it. */
export type Grantable = 'free' | 'again' | 'no'

/** When an agent hears of chunks that others brought. */
export interface Hearing {
  /** Since then it takes part. */
  readonly listensSince: number
  /** So long news take at most. */
  readonly freshMs: number
}

const PRUNE_MS = 1_000

export class LeaseBook {
  readonly #limits: LeaseLimits
  readonly #chunks = new Map<number, ChunkState>()
  readonly #active = new Set<Hold>()
  /** By agent and chunk; expired ones as well, for they may still be brought. */
  readonly #byAgent = new Map<string, Map<number, Hold>>()
  readonly #activeOf = new Map<string, number>()
  /** Brought; the one longest ago first. */
  readonly #kept = new Set<number>()
  /** Brought, and no other agent has been seen to have got it. */
  readonly #unconfirmed = new Map<number, string>()
  #late = 0
  #expired = 0
  #prunedAt = 0

  constructor(limits: LeaseLimits) {
    this.#limits = limits
  }

  /** Chunks that are out; of one agent so many at most: it fetches the rest later. */
  out(mostOfAgent: number): { readonly late: number; readonly inTime: number } {
    const lateOf = new Map<string, number>()
    if (this.#late > 0) {
      for (const { agent, isLate } of this.#active) if (isLate) lateOf.set(agent, (lateOf.get(agent) ?? 0) + 1)
    }
    let inTime = 0
    let all = 0
    for (const [agent, active] of this.#activeOf) {
      inTime += Math.min(mostOfAgent, active - (lateOf.get(agent) ?? 0))
      all += Math.min(mostOfAgent, active)
    }
    return { inTime, late: all - inTime }
  }

  get active(): ReadonlySet<Hold> {
    return this.#active
  }

  /** Chunks that take memory. */
  get size(): number {
    return this.#chunks.size
  }

  holdsOf(agent: string): readonly Hold[] {
    return [...(this.#byAgent.get(agent)?.values() ?? [])]
  }

  /** With expired ones. */
  heldBy(agent: string): number {
    return this.#byAgent.get(agent)?.size ?? 0
  }

  activeOf(agent: string): number {
    return this.#activeOf.get(agent) ?? 0
  }

  /** Brought by others and not confirmed, with who brought it. */
  get unconfirmed(): ReadonlyMap<number, string> {
    return this.#unconfirmed
  }

  confirm(chunk: number): void {
    this.#unconfirmed.delete(chunk)
  }

  bringerOf(chunk: number): string | undefined {
    return this.#chunks.get(chunk)?.bringer
  }

  /** Whether the chunk is out to anybody. */
  isOut(chunk: number): boolean {
    return (this.#chunks.get(chunk)?.holds.length ?? 0) > 0
  }

  /** The one lease of a chunk that was not granted a second time, and is another's. */
  onlyHold(chunk: number, agent: string): Hold | undefined {
    const state = this.#chunks.get(chunk)
    const hold = state?.holds[0]
    if (state === undefined || state.hasSecond || state.holds.length !== 1 || hold?.agent === agent) return undefined
    return hold
  }

  /** @param counts whether the word of a bringer is taken */
  grantable(
    chunk: number,
    agent: string,
    { now, counts, ...hearing }: Hearing & { readonly now: number; readonly counts: (bringer: string) => boolean },
  ): Grantable {
    const state = this.#chunks.get(chunk)
    if (state === undefined) return 'free'
    if (state.holds.length > 0) return 'no'
    if (state.bringer === undefined || state.bringer === agent) return 'free'
    if (!counts(state.bringer)) return 'again'
    return now >= this.#freshUntil(chunk, state, hearing) ? 'again' : 'no'
  }

  /** When it can be granted again if nothing else happens; undefined while it is out. */
  freshUntil(chunk: number, hearing: Hearing): number | undefined {
    const state = this.#chunks.get(chunk)
    return state === undefined || state.holds.length > 0 ? undefined : this.#freshUntil(chunk, state, hearing)
  }

  grant(
    agent: string,
    chunk: number,
    given: { readonly now: number; readonly until: number; readonly serial: number },
  ): Hold {
    const state = this.#chunks.get(chunk) ?? emptyState()
    const position = this.activeOf(agent) + 1
    const { now, until, serial } = given
    const hold = { agent, chunk, grantedAt: now, serial, position, until, isLate: false, isExpired: false }
    this.#forgetHold(agent, chunk)
    state.hasSecond = state.holds.length > 0
    state.holds.push(hold)
    this.#chunks.set(chunk, state)
    this.#active.add(hold)
    this.#activeOf.set(agent, position)
    const holds = this.#byAgent.get(agent) ?? new Map<number, Hold>()
    this.#byAgent.set(agent, holds.set(chunk, hold))
    return hold
  }

  markLate(hold: Hold): void {
    if (hold.isLate || !this.#active.has(hold)) return
    hold.isLate = true
    this.#late += 1
  }

  /** How many leases ran out, since the start. */
  get expired(): number {
    return this.#expired
  }

  /** Free for others; its agent may still bring it. */
  expire(hold: Hold): void {
    if (this.#active.has(hold)) this.#expired += 1
    this.#release(hold)
    hold.isExpired = true
  }

  giveBack(hold: Hold): void {
    this.#release(hold)
    this.#forgetHold(hold.agent, hold.chunk)
  }

  /** Its agent has the chunk. */
  bring(hold: Hold, now: number): void {
    this.giveBack(hold)
    const state = this.#chunks.get(hold.chunk) ?? emptyState()
    this.#chunks.set(hold.chunk, state)
    state.bringer = hold.agent
    state.broughtAt = now
    state.brings += 1
    this.#unconfirmed.set(hold.chunk, hold.agent)
    this.#kept.delete(hold.chunk)
    this.#kept.add(hold.chunk)
    const [oldest] = this.#kept
    if (oldest !== undefined && this.#kept.size > this.#limits.maxKept) this.#forgetBringer(oldest)
  }

  /** The agent asks no more: what it held is free; what it brought is still there. */
  withdraw(agent: string): void {
    for (const hold of this.holdsOf(agent)) this.giveBack(hold)
  }

  /** The agent is gone with what it brought. */
  drop(agent: string): void {
    this.withdraw(agent)
    for (const chunk of this.#kept) if (this.bringerOf(chunk) === agent) this.#forgetBringer(chunk)
  }

  /** Forgets what was brought long ago. */
  prune(now: number, freshMs: number): void {
    if (now - this.#prunedAt < PRUNE_MS) return
    this.#prunedAt = now
    const before = now - Math.max(this.#limits.keptMs, 2 * freshMs)
    for (const chunk of this.#kept) {
      const state = this.#chunks.get(chunk)
      if (state !== undefined && state.broughtAt >= before) break
      if (!this.isOut(chunk)) this.#forgetBringer(chunk)
    }
  }

  /** Until when the agent may not have heard of who has the chunk. */
  #freshUntil(chunk: number, { broughtAt, brings }: ChunkState, { listensSince, freshMs }: Hearing): number {
    const { maxFreshMs, confirmedTimes } = this.#limits
    const newsMs = Math.min(maxFreshMs, this.#unconfirmed.has(chunk) ? freshMs : confirmedTimes * freshMs)
    const takesMs = Math.min(maxFreshMs, newsMs * 2 ** Math.max(0, brings - 1))
    return Math.max(broughtAt + takesMs, listensSince + newsMs)
  }

  #forgetBringer(chunk: number): void {
    this.#kept.delete(chunk)
    this.#unconfirmed.delete(chunk)
    const state = this.#chunks.get(chunk)
    if (state === undefined) return
    state.bringer = undefined
    if (state.holds.length === 0) this.#chunks.delete(chunk)
  }

  #release(hold: Hold): void {
    if (!this.#active.delete(hold)) return
    if (hold.isLate) this.#late -= 1
    const left = this.activeOf(hold.agent) - 1
    if (left > 0) this.#activeOf.set(hold.agent, left)
    else this.#activeOf.delete(hold.agent)
    const state = this.#chunks.get(hold.chunk)
    if (state === undefined) return
    state.holds = state.holds.filter((other) => other !== hold)
    if (state.holds.length === 0 && state.bringer === undefined) this.#chunks.delete(hold.chunk)
  }

  #forgetHold(agent: string, chunk: number): void {
    const holds = this.#byAgent.get(agent)
    holds?.delete(chunk)
    if (holds?.size === 0) this.#byAgent.delete(agent)
  }
}

function emptyState(): ChunkState {
  return { holds: [], hasSecond: false, bringer: undefined, broughtAt: 0, brings: 0 }
}
