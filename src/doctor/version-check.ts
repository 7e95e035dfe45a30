import { AGENT_DOWN, type AgentView } from './agent-view.ts'
import { type Check, type CheckResult, ok, skip, warn } from './check.ts'

/** This program and the agent are of one version, and so are the agents of the fleet. */
export function versionCheck({ agent }: { readonly agent: AgentView }, init: { readonly version: string }): Check {
  return {
    name: 'versions',
    run: async (): Promise<CheckResult> => {
      const status = await agent.status()
      if (status === undefined) return skip(AGENT_DOWN)
      if (status.version !== init.version) {
        return warn(
          `this is shoal ${init.version}, the agent is ${status.version}`,
          'restart the agent: it still runs what was installed before',
        )
      }
      const members = (await agent.diagnosis())?.swarm?.members ?? []
      const others = new Set(members.map(({ version }) => version).filter((version) => version !== init.version))
      if (others.size === 0) return ok(init.version)
      return ok(`${init.version}; other agents run ${[...others].sort().slice(0, 5).join(', ')}`)
    },
  }
}
