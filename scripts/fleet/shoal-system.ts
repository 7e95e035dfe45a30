import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { AgentStatus } from '../../src/facade/admin-api.ts'
import type { Child } from '../../test/fixtures/child.ts'
import { CONTROL_PORT, type FleetNetwork } from './fleet-network.ts'
import type { FleetSystem } from './fleet-system.ts'
import type { HostRole } from './host-roles.ts'
import { runInside, startInside } from './namespaces.ts'
import { type ProcessUsage, readUsage } from './process-usage.ts'
import { transferLogSetting } from './transfer-logs.ts'

const SHOAL = fileURLToPath(new URL('../shoal', import.meta.url))
const FACADE = '127.0.0.1:5050'
const ADMIN = '127.0.0.1:5053'
const LANE_PORT = 5052
const BOOTSTRAP_HOSTS = 2
const STARTS_AT_ONCE = 4
const CONNECTED_MS = 30_000
const POLL_MS = 250
const SHOWN_OUTPUT = 2_000
/** After the last connection, for routing tables to fill. */
const SETTLE_MS = 2_000

export interface ShoalSystemInit {
  readonly network: FleetNetwork
  readonly roles: readonly HostRole[]
  /** `host:port` */
  readonly origin: string
  readonly dir: string
  /** Whether agents are told of zones. */
  readonly zones: boolean
  readonly set: readonly string[]
  readonly logTransfers: boolean
}

/** An agent on each host; all know the addresses of the first two. */
export class ShoalSystem implements FleetSystem {
  readonly #init: ShoalSystemInit
  readonly #agents = new Map<string, Child>()
  readonly #killed: (ProcessUsage | undefined)[] = []
  readonly #failures: string[] = []
  readonly #secret = randomBytes(16).toString('hex')

  private constructor(init: ShoalSystemInit) {
    this.#init = init
  }

  static async start(init: ShoalSystemInit): Promise<ShoalSystem> {
    const system = new ShoalSystem(init)
    const queue = [...init.roles]
    const startSome = async (): Promise<void> => {
      for (let role = queue.shift(); role !== undefined; role = queue.shift()) await system.#startAgent(role)
    }
    const ends = await Promise.allSettled(Array.from({ length: STARTS_AT_ONCE }, startSome))
    for (const end of ends) {
      if (end.status === 'fulfilled') continue
      await system.stop()
      throw end.reason
    }
    return system
  }

  facade(): string {
    return `http://${FACADE}`
  }

  usages(): readonly ProcessUsage[] {
    return [...this.#killed, ...[...this.#agents.values()].map(usageOf)].filter((usage) => usage !== undefined)
  }

  failures(): readonly string[] {
    return this.#failures
  }

  async settled(): Promise<string | undefined> {
    const deadline = performance.now() + CONNECTED_MS
    const wanted = this.#agents.size - 1
    for (;;) {
      const connected = await Promise.all(
        [...this.#agents.keys()].map(async (host) => (await this.#status(host)).swarm?.connected),
      )
      const counts = connected.filter((count) => count !== undefined)
      const least = Math.min(...counts)
      if (counts.length < connected.length) return 'the agents take part in no swarm'
      if (least >= wanted) break
      if (performance.now() > deadline)
        return `after ${CONNECTED_MS / 1000} s an agent is connected with ${least} others`
      await pause(POLL_MS)
    }
    await pause(SETTLE_MS)
    return undefined
  }

  async idle(host: string): Promise<void> {
    while ((await this.#status(host)).transfers.length > 0) await pause(POLL_MS)
  }

  async kill(host: string): Promise<void> {
    const agent = this.#agents.get(host)
    if (agent === undefined) return
    this.#agents.delete(host)
    this.#killed.push(usageOf(agent))
    await agent.stop('SIGKILL')
  }

  async stop(): Promise<void> {
    const agents = [...this.#agents.values()]
    this.#agents.clear()
    await Promise.all(agents.map((agent) => agent.stop('SIGKILL')))
  }

  async #startAgent({ name, zone }: HostRole): Promise<void> {
    const { network, roles, origin, dir, zones, set, logTransfers } = this.#init
    const bootstrap = roles.slice(0, BOOTSTRAP_HOSTS).map((role) => network.address(role.name))
    const log = logTransfers ? transferLogSetting(dir, name) : undefined
    const settings = [
      `facade.listen=${FACADE}`,
      `admin.listen=${ADMIN}`,
      `store.dir=${join(dir, name)}`,
      `origin.default=${origin}`,
      `origin.registries."${origin}".plainHttp=true`,
      `swarm.listen=0.0.0.0:${CONTROL_PORT}`,
      `swarm.lane=0.0.0.0:${LANE_PORT}`,
      `swarm.secret=${this.#secret}`,
      `swarm.bootstrap=${bootstrap.join(',')}`,
      ...(zones ? [`swarm.zone=zone-${zone}`] : []),
      ...(log === undefined ? [] : [log]),
      ...set,
    ]
    const args = ['agent', ...settings.flatMap((setting) => ['--set', setting])]
    const agent = startInside(name, SHOAL, args, { env: { DOCKER_CONFIG: join(dir, 'no-docker') } })
    this.#agents.set(name, agent)
    void agent.exited.then((code) => {
      // whoever stops an agent takes it out first
      if (this.#agents.get(name) === agent)
        this.#failures.push(`the agent on ${name} ended (${code}): ${agent.output.slice(-SHOWN_OUTPUT)}`)
    })
    await agent.until(/"msg":"ready"/, 60_000)
  }

  async #status(host: string): Promise<AgentStatus> {
    return JSON.parse(await runInside(host, 'curl', ['-sSf', `http://${ADMIN}/api/status`])) as AgentStatus
  }
}

function usageOf({ pid }: Child): ProcessUsage | undefined {
  return readUsage(pid ?? 0)
}
