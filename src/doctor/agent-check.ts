import { formatDuration } from '../util/duration.ts'
import type { AgentView } from './agent-view.ts'
import { type Check, type CheckResult, fail, ok } from './check.ts'

/** The agent is up and ready. */
export function agentCheck({ agent }: { readonly agent: AgentView }): Check {
  return {
    name: 'agent',
    run: async (): Promise<CheckResult> => {
      try {
        const { ready, uptimeSeconds } = await agent.asked()
        if (!ready) return fail('it answers and is not ready', 'it starts or stops just now: ask again in a minute')
        return ok(`ready, up ${formatDuration(uptimeSeconds * 1000)}`)
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        // its second sentence is advice for whoever meant to ask it
        const [text = message] = message.split('. ')
        return fail(text, 'start it: `systemctl start shoal`, or `shoal agent`; its last log lines say why it ended')
      }
    },
  }
}
