/** One run of one scenario: builds the fleet, starts all clients, lets happen what the plan says, and takes everything down. */
import { mkdir } from 'node:fs/promises'
import { FleetNetwork } from './fleet-network.ts'
import type { FleetPlan } from './fleet-plan.ts'
import { type FleetImage, REGISTRY_PORT, startRegistry } from './fleet-registry.ts'
import { DirectSystem, type FleetSystem } from './fleet-system.ts'
import { HostClients } from './host-clients.ts'
import { assignRoles, boundOf, type HostRole } from './host-roles.ts'
import { ORIGIN, watchIncidents } from './incidents.ts'
import { Meter } from './meter.ts'
import { PROXY, RegistryProxySystem } from './registry-proxy-system.ts'
import type { RunObservation } from './run-figures.ts'
import { ShoalSystem } from './shoal-system.ts'

/** A run ends when hosts could have had the image one after another from the origin, and half as long again. */
const PATIENCE = 1.5
const PATIENCE_MS = 60_000

export interface RunInit {
  readonly plan: FleetPlan
  readonly image: FleetImage
  /** Of a registry that has the image. */
  readonly originDir: string
  /** Of this run alone. */
  readonly dir: string
  /** Of this run. */
  readonly seed: string
  /** Agents write what chunks they get, and from whom. */
  readonly logTransfers: boolean
  readonly say: (line: string) => void
}

export interface RunResult extends RunObservation {
  /** Milliseconds since the epoch of the first client's start. */
  readonly startAt: number
}

export async function runFleet(init: RunInit): Promise<RunResult> {
  const { plan, image, dir, seed, say } = init
  const roles = assignRoles(plan, seed)
  const boundSeconds = boundOf(plan, roles, image.bytes)
  await mkdir(dir, { recursive: true })
  await using stack = new AsyncDisposableStack()
  const origin = { name: ORIGIN, zone: 0, rate: plan.originRate }
  const proxy = plan.system === 'registry-proxy' ? [{ name: PROXY, zone: 0, rate: plan.hostRate }] : []
  const network = stack.use(await FleetNetwork.create({ ...plan, links: [origin, ...proxy, ...roles] }))
  const address = `${network.address(ORIGIN)}:${REGISTRY_PORT}`
  const registry = await startRegistry({ dir: init.originDir, listen: address, namespace: ORIGIN })
  stack.defer(async () => void (await registry.child.stop('SIGKILL')))
  const system = await startSystem(init, { network, roles, origin: address })
  stack.defer(() => system.stop())
  const problem = await system.settled()
  if (problem !== undefined) say(`  ! ${problem}`)

  const clients = new HostClients({ system })
  stack.defer(() => clients.stop())
  const patienceMs = PATIENCE_MS + ((plan.hosts * image.bytes * 8) / plan.originRate) * 1000 * PATIENCE
  const seeds = roles.filter(({ part }) => part === 'seed')
  for (const { pull, role } of await clients.pull(seeds, patienceMs)) {
    if (pull?.errors.length !== 0) throw new Error(`${role.name} was not seeded: ${pull?.errors.join('; ')}`)
    await system.idle(role.name)
  }
  await network.shape()
  if (plan.cutOriginAfter === 0) await network.cut(ORIGIN, plan.cut)

  const meter = new Meter({ network, system, roles })
  await meter.start()
  const end = new AbortController()
  const incidents = watchIncidents({ network, system, clients }, { plan, roles, imageBytes: image.bytes }, end)
  const pulling = roles.filter(({ part }) => part !== 'seed')
  const hosts = await clients.pull(pulling, patienceMs, () => meter.startProcessing())
  const metered = await meter.read()
  end.abort()
  for (const failure of system.failures()) say(`  ! ${failure}`)
  const startAt = Math.min(...hosts.map(({ plannedStart }) => plannedStart))
  for (const { what, at } of await incidents)
    say(at === undefined ? `  ! ${what} did not come about` : `  ${what} after ${((at - startAt) / 1000).toFixed(1)} s`)
  return {
    ...metered,
    imageBytes: image.bytes,
    boundSeconds,
    hosts,
    startAt,
  }
}

async function startSystem(
  { plan, dir, logTransfers }: RunInit,
  parts: { network: FleetNetwork; roles: readonly HostRole[]; origin: string },
): Promise<FleetSystem> {
  const { network, roles, origin } = parts
  if (plan.system === 'direct') return new DirectSystem({ origin: `http://${origin}` })
  if (plan.system === 'registry-proxy') return RegistryProxySystem.start({ network, origin: `http://${origin}`, dir })
  const { set, zones } = plan
  return ShoalSystem.start({ network, roles, origin, dir, zones: zones !== undefined, set, logTransfers })
}
