import type { SwarmConfig } from '../config-swarm.ts'
import { counted, isOrAre } from '../util/counted.ts'
import type { HostPort } from '../util/host-port.ts'
import type { AgentView } from './agent-view.ts'
import { isName, parseBootstrapEntry } from './bootstrap-entry.ts'
import { type Check, type CheckResult, fail, ok, skip, warn } from './check.ts'
import type { HostView, Within } from './host-view.ts'

export interface SwarmCheckComponents {
  readonly agent: AgentView
  readonly host: Pick<HostView, 'resolve' | 'connect' | 'ownAddresses'>
}

/** A name may stand for a whole fleet. */
const TRIED = 16
const SECRET_ADVICE = 'compare the secret with that of the other hosts: `sha256sum` of the file, without showing it'

/** The agent is among others, and if not: whether nobody is there, or nobody lets it in. */
export function swarmCheck(
  { agent, host }: SwarmCheckComponents,
  init: Pick<SwarmConfig, 'enabled' | 'bootstrap' | 'mdns' | 'listen'>,
): Check {
  return {
    name: 'swarm',
    run: async (options): Promise<CheckResult> => {
      if (!init.enabled) return skip('swarm.enabled is false: this agent is on its own')
      const swarm = (await agent.diagnosis())?.swarm
      if (swarm?.isMember === false) {
        return warn(
          'there is no secret: this agent shares with nobody',
          'set swarm.secretFile to the same secret on all hosts and restart the agent, or set swarm.enabled: false',
        )
      }
      const { 'wrong-secret': here = 0, 'secret-refused': there = 0 } = swarm?.refusals ?? {}
      if (swarm !== undefined && swarm.members.length > 0) {
        const { length } = swarm.members
        const count = `${counted(length, 'other agent')} ${isOrAre(length)} connected`
        if (here > 0)
          return warn(`${count}, and ${counted(here, 'connection')} came with another secret`, SECRET_ADVICE)
        // that the other side ended it may have many reasons, a restart too
        return ok(there === 0 ? count : `${count}; ${counted(there, 'connection')} failed, maybe for another secret`)
      }
      const { others, reached } = await tryBootstrap(host, init, options)
      if (swarm === undefined) {
        if (others.length === 0) return skip('no agent answers, and no other host is named')
        return reached > 0
          ? ok(`${reached} of ${others.length} bootstrap addresses answer; the agent itself does not`)
          : warn(`none of ${others.length} bootstrap addresses answers`, 'check that agents run there, and firewalls')
      }
      // what another side refused earlier says nothing of hosts that are away now
      if (reached > 0) {
        const answer = `${reached} of ${others.length} bootstrap addresses answer`
        return fail(`nobody lets this agent in; ${answer}: likely its secret is another one`, SECRET_ADVICE)
      }
      if (here > 0) {
        const turnedAway = `${counted(here, 'connection')} came with another secret`
        return warn(`no other agent is connected, and ${turnedAway}`, SECRET_ADVICE)
      }
      if (others.length > 0) {
        return fail(
          `none of ${others.length} bootstrap addresses answers`,
          'check that agents run there, and that firewalls let TCP through to their ports',
        )
      }
      if (init.mdns) return warn('no other agent was found on the local network', 'start one, or set swarm.bootstrap')
      return warn('no other agent is known', 'set swarm.bootstrap to the address of another host, or to a name of many')
    },
  }
}

async function tryBootstrap(
  host: SwarmCheckComponents['host'],
  { bootstrap, listen }: Pick<SwarmConfig, 'bootstrap' | 'listen'>,
  options: Within,
): Promise<{ readonly others: readonly HostPort[]; readonly reached: number }> {
  const expanded = await Promise.all(
    bootstrap.map(async (entry) => {
      const address = parseBootstrapEntry(entry)
      if (address === undefined) return []
      if (!isName(address)) return [address]
      const found = await host.resolve(address.host, options).catch(() => [])
      return found.map((one) => ({ host: one, port: address.port }))
    }),
  )
  const own = new Set(host.ownAddresses())
  // a name that stands for all hosts stands for this one too
  const others = expanded.flat().filter((address) => !(own.has(address.host) && address.port === listen.port))
  const tried = others.slice(0, TRIED)
  const outcomes = await Promise.all(tried.map((address) => host.connect(address, options)))
  return { others: tried, reached: outcomes.filter((outcome) => outcome === 'reached').length }
}
