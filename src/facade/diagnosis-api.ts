/** What an agent tells `shoal doctor` of itself: what can't be seen from outside. */
export interface Diagnosis {
  /** By the agent's clock, milliseconds since the epoch. */
  readonly now: number
  /** Undefined when the swarm is switched off. */
  readonly swarm?: SwarmDiagnosis | undefined
}

export interface SwarmDiagnosis {
  /** False: there is no secret, no list of peers, and it is not open. */
  readonly isMember: boolean
  /** Connections since the start that came to nothing in the handshake of the swarm, by reason. */
  readonly refusals: Readonly<Record<string, number>>
  readonly members: readonly DiagnosedMember[]
  /** What some members say who connected back to this agent. */
  readonly reach: readonly ReachReport[]
}

export interface DiagnosedMember {
  readonly id: string
  readonly address: string
  readonly version: string
  /** Milliseconds that its clock was ahead of this agent's when it connected. */
  readonly clockOffsetMs: number
}

/**
 * `timeout`: nothing answered; `refused`: nobody listens; `other`: something else answered; `elsewhere`: the member sees this agent come from an
 * address that it does not tell as its own, and tried nothing; `none`: this agent tells no address.
 */
export type ReachOutcome = 'reached' | 'refused' | 'timeout' | 'other' | 'elsewhere' | 'none'

export interface ReachReport {
  readonly peer: string
  readonly address: string
  /** Undefined when the member gave no answer. */
  readonly answer?:
    | {
        /** What the member sees this agent come from. */
        readonly observed: string
        readonly swarm: ReachOutcome
        readonly lane: ReachOutcome
        /** Whether 64 KiB went there and back on a connection on which small messages do. */
        readonly fullPackets: boolean
      }
    | undefined
  readonly error?: string | undefined
}
