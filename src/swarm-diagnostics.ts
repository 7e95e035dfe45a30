import type { Abortable } from './blob/ports.ts'
import { toShoalError } from './errors.ts'
import type { ReachReport, SwarmDiagnosis } from './facade/diagnosis-api.ts'
import type { DialBack } from './swarm/dial-back.ts'
import type { Member } from './swarm/swarm-ports.ts'

export interface SwarmDiagnosticsComponents {
  /** Those that are connected now; addresses are for people. */
  readonly members: () => readonly Member[]
  readonly dialBack: Pick<DialBack, 'ask'>
  readonly refusals: () => Readonly<Record<string, number>>
}

/** One may be behind the same firewall as this agent. */
const ASKED = 3

/** Asks some members for what this agent can't see itself. */
export class SwarmDiagnostics {
  readonly #components: SwarmDiagnosticsComponents
  readonly #isMember: boolean

  constructor(components: SwarmDiagnosticsComponents, init: { readonly isMember: boolean }) {
    this.#components = components
    this.#isMember = init.isMember
  }

  async diagnose(options: Abortable): Promise<SwarmDiagnosis> {
    const members = this.#components.members()
    const asked = shuffled(members).slice(0, ASKED)
    const reach = await Promise.all(asked.map((member) => this.#ask(member, options)))
    return {
      isMember: this.#isMember,
      refusals: { ...this.#components.refusals() },
      members: members.map(({ id, address, version, clockOffsetMs }) => ({ id, address, version, clockOffsetMs })),
      reach,
    }
  }

  async #ask({ id, address }: Member, options: Abortable): Promise<ReachReport> {
    try {
      const { peer, ...answer } = await this.#components.dialBack.ask(id, options)
      return { peer, address, answer }
    } catch (error) {
      options.signal.throwIfAborted()
      return { peer: id, address, error: toShoalError(error).message }
    }
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
