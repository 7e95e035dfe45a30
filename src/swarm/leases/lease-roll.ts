/**
 * Agents that take part in the leases of one blob, and what is remembered of those that left. Owns them. Pure: time is passed in, milliseconds. Called by `LeaseTable`
 * and `LeaseAccounts`.
 */
import { LeaseAgent } from './lease-agent.ts'
import type { LeaseLimits } from './lease-limits.ts'

const MAX_STRUCK = 256

export class LeaseRoll {
  readonly #limits: Pick<LeaseLimits, 'maxAgents' | 'memberMs' | 'aloneMs' | 'aloneFirstMs'>
  /** In the order of their last asks. */
  readonly #agents = new Map<string, LeaseAgent>()
  /** Agents that have left and did not bring what they took. */
  readonly #struck = new Map<string, LeaseAgent>()
  #members = 0
  #beganAt: number | undefined
  #companyAt: number | undefined

  constructor(limits: Pick<LeaseLimits, 'maxAgents' | 'memberMs' | 'aloneMs' | 'aloneFirstMs'>) {
    this.#limits = limits
  }

  get size(): number {
    return this.#agents.size
  }

  /** How many took part when they were counted last. */
  get members(): number {
    return this.#members
  }

  get(id: string): LeaseAgent | undefined {
    return this.#agents.get(id)
  }

  /** @returns undefined when there are too many */
  seen(id: string, now: number): LeaseAgent | undefined {
    const known = this.#agents.get(id)
    if (known === undefined && this.#agents.size >= this.#limits.maxAgents) return undefined
    const agent = known ?? this.#struck.get(id) ?? new LeaseAgent(id)
    if (known === undefined) agent.joinedAt = now
    this.#struck.delete(id)
    this.#seenAt(agent, now)
    return agent
  }

  /** But not what it did. */
  forget(agent: LeaseAgent): void {
    this.#agents.delete(agent.id)
    agent.gaps = []
    if (!agent.isOnProbation) return
    this.#struck.set(agent.id, agent)
    const [oldest] = this.#struck.keys()
    if (oldest !== undefined && this.#struck.size > MAX_STRUCK) this.#struck.delete(oldest)
  }

  /** @param isHolding of such an agent, what it holds runs out first; @returns those that have not asked for long */
  silent(now: number, isHolding: (id: string) => boolean): LeaseAgent[] {
    const silent: LeaseAgent[] = []
    for (const [id, agent] of this.#agents) {
      if (now - agent.seenAt < this.#limits.memberMs) break
      if (isHolding(id)) this.#seenAt(agent, now - this.#limits.memberMs / 2)
      else silent.push(agent)
    }
    return silent
  }

  count(now: number): void {
    this.#members = this.#agents.size
    this.#beganAt ??= now
    if (this.#members > 1) this.#companyAt = now
  }

  /** There is one agent, and there was no other one for a while. */
  isAlone(now: number): boolean {
    if (this.#members !== 1) return false
    const { aloneMs, aloneFirstMs } = this.#limits
    return this.#companyAt === undefined
      ? now - (this.#beganAt ?? now) >= aloneFirstMs
      : now - this.#companyAt >= aloneMs
  }

  #seenAt(agent: LeaseAgent, at: number): void {
    agent.seenAt = at
    this.#agents.delete(agent.id)
    this.#agents.set(agent.id, agent)
  }
}
