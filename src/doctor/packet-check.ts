import { AGENT_DOWN, type AgentView } from './agent-view.ts'
import { type Check, type CheckResult, fail, ok, skip, warn } from './check.ts'
import { answersOf } from './reach-check.ts'

const ADVICE =
  'packets of full size are lost on the way: set the MTU of this host to that of the path, or let ICMP "fragmentation needed" through'

/** Packets of full size come through to other agents and back. */
export function packetCheck({ agent }: { readonly agent: AgentView }): Check {
  return {
    name: 'packet size',
    run: async (): Promise<CheckResult> => {
      const diagnosis = await agent.diagnosis()
      if (diagnosis === undefined) return skip(AGENT_DOWN)
      const answers = answersOf(diagnosis.swarm?.reach ?? [])
      if (answers.length === 0) return skip('no other agent can be asked')
      const lost = answers.filter(({ fullPackets }) => !fullPackets).length
      if (lost === 0) return ok('64 KiB come through to other agents and back')
      const text = `small messages come through, 64 KiB do not, with ${lost} of ${answers.length} other agents`
      return lost === answers.length ? fail(text, ADVICE) : warn(text, ADVICE)
    },
  }
}
