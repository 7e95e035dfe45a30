import type { ReachOutcome, ReachReport } from '../facade/diagnosis-api.ts'
import { AGENT_DOWN, type AgentView } from './agent-view.ts'
import { type Check, type CheckResult, fail, ok, skip, warn } from './check.ts'

type Answer = NonNullable<ReachReport['answer']>

const WHY: Readonly<Record<ReachOutcome, string>> = {
  reached: 'reached',
  refused: 'refused',
  timeout: 'no answer',
  other: 'something else answers',
  elsewhere: 'not tried',
  none: 'no address is told',
}

/** Other agents reach this one on both ports. */
export function reachCheck({ agent }: { readonly agent: AgentView }): Check {
  return {
    name: 'ports',
    run: async (): Promise<CheckResult> => {
      const diagnosis = await agent.diagnosis()
      if (diagnosis === undefined) return skip(AGENT_DOWN)
      const answers = answersOf(diagnosis.swarm?.reach ?? [])
      const [first] = answers
      if (first === undefined) return skip('no other agent can be asked to connect back')
      const listening = (await agent.status())?.listening
      const ports = { swarm: listening?.swarm.join(', ') ?? '?', lane: listening?.lane.join(', ') ?? '?' }
      const swarm = best(answers, ({ swarm }) => swarm)
      const lane = best(answers, ({ lane }) => lane)
      const asked = `asked ${answers.length} other agents`
      if (swarm === 'reached' && lane === 'reached') return ok(`both can be reached from outside; ${asked}`)
      if (answers.every(({ observed }) => isLoopback(observed))) return skip('the other agents asked are on this host')
      if (swarm === 'elsewhere' || lane === 'elsewhere') {
        return warn(
          `other agents see this one come from ${first.observed}, which it does not tell as its address`,
          'set swarm.advertise to the address under which this host can be reached',
        )
      }
      if (swarm !== 'reached') {
        return fail(
          `other agents do not reach ${ports.swarm}: ${WHY[swarm]}; ${asked}`,
          'let TCP in to the port of swarm.listen, or set swarm.advertise',
        )
      }
      return warn(
        `other agents do not reach the lane at ${ports.lane}: ${WHY[lane]}; ${asked}`,
        'let TCP in to the port of swarm.lane: bytes take a slower way meanwhile',
      )
    },
  }
}

export function answersOf(reach: readonly ReachReport[]): Answer[] {
  return reach.flatMap(({ answer }) => answer ?? [])
}

/** @param address without a port */
function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}

/** One that got through is enough: the others may have a firewall of their own. */
function best(answers: readonly Answer[], of: (answer: Answer) => ReachOutcome): ReachOutcome {
  const outcomes = answers.map(of)
  return outcomes.find((outcome) => outcome === 'reached') ?? outcomes[0] ?? 'none'
}
