import type { FleetPlan } from './fleet-plan.ts'
import { physicalBound } from './physical-bound.ts'
import { SeededRandom } from './seeded-random.ts'

/** What a host is in one run. */
export interface HostRole {
  readonly name: string
  readonly zone: number
  /** Bits per second, each way. */
  readonly rate: number
  readonly part: 'measured' | 'slow' | 'killed' | 'seed'
  /** After the first host's start. */
  readonly startMs: number
}

/** @param seed of this run: which hosts are slow, killed or seeded, and in which order they start */
export function assignRoles(plan: FleetPlan, seed: string): HostRole[] {
  const random = new SeededRandom(seed)
  const indexes = Array.from({ length: plan.hosts }, (_, index) => index)
  const parts = new Map<number, HostRole['part']>()
  const chosen = random.shuffled(indexes)
  for (const index of chosen.splice(0, plan.seeded)) parts.set(index, 'seed')
  for (const index of chosen.splice(0, plan.slow?.count ?? 0)) parts.set(index, 'slow')
  for (const index of chosen.splice(0, plan.kill?.count ?? 0)) parts.set(index, 'killed')
  const order = random.shuffled(indexes)
  const step = plan.spreadMs / Math.max(1, plan.hosts - 1)
  return indexes.map((index) => {
    const part = parts.get(index) ?? 'measured'
    return {
      name: `h${index}`,
      zone: index % (plan.zones?.count ?? 1),
      rate: Math.round(plan.hostRate * (part === 'slow' ? (plan.slow?.share ?? 1) : 1)),
      part,
      startMs: Math.round(order.indexOf(index) * step),
    }
  })
}

/**
 * D*: seconds from a host's start to its end that nothing can be better than. For starts that are spread it is the bound of
 * one host alone. Slow hosts do not count among those who pull; hosts that get killed do, for they are there at first.
 */
export function boundOf(plan: FleetPlan, roles: readonly HostRole[], bytes: number): number {
  const hosts = roles.map(({ part, rate }) => ({
    upRate: rate,
    downRate: rate,
    pulls: part === 'measured' || part === 'killed',
    isSeed: part === 'seed',
  }))
  const alone = hosts.filter((host) => host.pulls).slice(0, 1)
  return physicalBound({
    bytes,
    originRate: plan.originRate,
    originCopies: plan.cutOriginAfter,
    borderRate: plan.zones?.rate,
    hosts: plan.spreadMs > 0 ? [...alone, ...hosts.filter((host) => host.isSeed)] : hosts,
  })
}
