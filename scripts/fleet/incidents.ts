import { setTimeout as pause } from 'node:timers/promises'
import type { FleetNetwork } from './fleet-network.ts'
import type { FleetPlan } from './fleet-plan.ts'
import type { FleetSystem } from './fleet-system.ts'
import type { HostClients } from './host-clients.ts'
import type { HostRole } from './host-roles.ts'
import { wireFactor } from './link-shape.ts'

export const ORIGIN = 'origin'

const WATCH_MS = 50
/**
 * What goes out with a copy and is none of it: manifests, handshakes, segments that are sent again. Agents that have let the
 * same chunk be sent twice by then lack another one, and their pulls fail.
 */
const CUT_SLACK = 0.02

interface Parts {
  readonly network: FleetNetwork
  readonly system: FleetSystem
  readonly clients: HostClients
}

interface Load {
  readonly plan: FleetPlan
  readonly roles: readonly HostRole[]
  readonly imageBytes: number
}

/** Something that has happened, or should have. */
export interface Happened {
  readonly what: string
  /** Milliseconds since the epoch; undefined: it did not come about. */
  readonly at: number | undefined
}

/** Lets happen what the plan says, when it says so. Ends when the signal aborts or all has happened. */
export async function watchIncidents(
  parts: Parts,
  load: Load,
  { signal }: { signal: AbortSignal },
): Promise<Happened[]> {
  const happened: Happened[] = []
  const pending = new Set([killing(parts, load), cutting(parts, load)].filter((incident) => incident !== undefined))
  while (pending.size > 0) {
    for (const incident of pending) {
      if (!(await incident.isDue())) continue
      pending.delete(incident)
      const at = Date.now()
      happened.push({ what: await incident.happen(), at })
    }
    try {
      await pause(WATCH_MS, undefined, { signal })
    } catch {
      return [...happened, ...[...pending].map(({ name }) => ({ what: name, at: undefined }))]
    }
  }
  return happened
}

interface Incident {
  readonly name: string
  isDue(): Promise<boolean>
  happen(): Promise<string>
}

function killing({ network, system, clients }: Parts, { plan, roles, imageBytes }: Load): Incident | undefined {
  const { kill } = plan
  if (kill === undefined) return undefined
  const pulling = roles.filter(({ part }) => part !== 'seed')
  const received = async (): Promise<number> => {
    const traffic = await network.traffic()
    return pulling.reduce((sum, { name }) => sum + (traffic.get(name)?.received ?? 0), 0)
  }
  const before = received()
  return {
    name: 'the kill',
    isDue: async () => (await received()) - (await before) >= kill.share * pulling.length * imageBytes,
    happen: async () => {
      const names = roles.filter(({ part }) => part === 'killed').map(({ name }) => name)
      await Promise.all(names.flatMap((name) => [system.kill(name), clients.kill(name)]))
      return `killed ${names.join(', ')}`
    },
  }
}

function cutting({ network }: Parts, { plan, imageBytes }: Load): Incident | undefined {
  const { cutOriginAfter, mtu } = plan
  if (cutOriginAfter === undefined || cutOriginAfter === 0) return undefined
  const limit = (cutOriginAfter + CUT_SLACK) * imageBytes * wireFactor(mtu)
  return {
    name: 'the cut of the origin',
    isDue: async () => (await network.wireBytesSent(ORIGIN)) >= limit,
    happen: async () => {
      await network.cut(ORIGIN, plan.cut)
      return `cut the origin off after ${cutOriginAfter} copies`
    },
  }
}
