import { DOCTOR_USER_AGENT } from '../facade/client-sightings.ts'
import { formatHostPort, type HostPort } from '../util/host-port.ts'
import type { AgentView } from './agent-view.ts'
import { type Check, type CheckResult, fail, ok } from './check.ts'
import type { HostView } from './host-view.ts'

/** A request to the mirror is answered, and by this agent: it must have counted it. */
export function probeCheck({ agent, host }: { agent: AgentView; host: Pick<HostView, 'get'> }, init: HostPort): Check {
  return {
    name: 'mirror',
    run: async (options): Promise<CheckResult> => {
      const before = await agent.status()
      const told = before?.listening.facade[0]
      const address = told ?? formatHostPort(init)
      let status: number
      try {
        const head = await host.get(`http://${address}/v2/`, { userAgent: DOCTOR_USER_AGENT }, options)
        status = head.status
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        return fail(
          `nothing answers at ${address}: ${code ?? message}`,
          'clients go to the registries meanwhile: start the agent',
        )
      }
      if (before === undefined)
        return fail(`something answers at ${address}, and no agent does`, `free the port ${address}`)
      if (status !== 200)
        return fail(`${address} answers with ${status}`, 'the agent starts or stops just now: ask again')
      const after = await agent.statusNow()
      // an agent of an earlier version does not tell
      if (before.probes !== undefined && (after?.probes ?? 0) <= before.probes) {
        return fail(`what answers at ${address} is not this agent`, 'free the port, or change facade.listen')
      }
      return ok(`answers at ${address}`)
    },
  }
}
