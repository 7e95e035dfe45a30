import { formatDuration } from '../util/duration.ts'
import type { AgentView } from './agent-view.ts'
import { type Check, type CheckResult, fail, ok, skip, warn } from './check.ts'
import type { RegistryProbe } from './registry-probe.ts'

/** Statements, bans and tags carry times; certificates and tokens fail beyond some minutes. */
const WARN_MS = 10_000
const FAIL_MS = 5 * 60_000
const ADVICE = 'let this host keep its clock by NTP: `timedatectl set-ntp true`'

/** The clock agrees with those of the other agents and of the registry. */
export function clockCheck({
  agent,
  registry,
}: {
  readonly agent: AgentView
  readonly registry: RegistryProbe
}): Check {
  return {
    name: 'clock',
    run: async (options): Promise<CheckResult> => {
      const members = (await agent.diagnosis())?.swarm?.members ?? []
      const answer = await registry.ask(options)
      const ofRegistry = 'error' in answer ? undefined : answer.offsetMs
      const ofMembers = median(members.map(({ clockOffsetMs }) => clockOffsetMs))
      if (ofRegistry === undefined && ofMembers === undefined) return skip('nothing to compare it with')
      const parts = [
        ...(ofMembers === undefined ? [] : [`${offset(ofMembers)} ${members.length} other agents`]),
        ...(ofRegistry === undefined ? [] : [`${offset(ofRegistry)} ${registry.name}`]),
      ]
      const worst = Math.max(Math.abs(ofRegistry ?? 0), Math.abs(ofMembers ?? 0))
      if (worst >= FAIL_MS) return fail(parts.join(', '), ADVICE)
      if (worst >= WARN_MS) return warn(parts.join(', '), ADVICE)
      const wrong = members.filter(({ clockOffsetMs }) => Math.abs(clockOffsetMs) >= WARN_MS)
      const [one] = wrong
      if (one !== undefined) {
        return warn(`${wrong.length} other agents have another time, ${one.address} among them`, 'see to their clocks')
      }
      return ok(parts.join(', '))
    },
  }
}

/** @param ms of the other's clock before this one */
function offset(ms: number): string {
  if (Math.abs(ms) < 1_500) return 'agrees with'
  return `${formatDuration(Math.abs(ms))} ${ms > 0 ? 'behind' : 'ahead of'}`
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}
