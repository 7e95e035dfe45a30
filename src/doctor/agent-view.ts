/** What the agent says of itself, asked for once however many checks want it. */
import type { AgentStatus } from '../facade/admin-api.ts'
import type { Diagnosis } from '../facade/diagnosis-api.ts'

export interface AgentViewComponents {
  status(): Promise<AgentStatus>
  diagnose(): Promise<Diagnosis>
}

/** Undefined stands for: no agent answers. */
export class AgentView {
  readonly #components: AgentViewComponents
  #status: Promise<AgentStatus> | undefined
  #diagnosis: Promise<Diagnosis> | undefined

  constructor(components: AgentViewComponents) {
    this.#components = components
  }

  /** @throws what the client of the admin API throws */
  asked(): Promise<AgentStatus> {
    this.#status ??= this.#components.status()
    return this.#status
  }

  async status(): Promise<AgentStatus | undefined> {
    return await this.asked().catch(() => undefined)
  }

  /** As it is now. */
  async statusNow(): Promise<AgentStatus | undefined> {
    return await this.#components.status().catch(() => undefined)
  }

  /** Also undefined when the agent is of a version that gives none. */
  async diagnosis(): Promise<Diagnosis | undefined> {
    if ((await this.status()) === undefined) return undefined
    this.#diagnosis ??= this.#components.diagnose()
    return await this.#diagnosis.catch(() => undefined)
  }
}

export const AGENT_DOWN = 'no agent answers'
