import { setTimeout as pause } from 'node:timers/promises'
import type { Digest } from '../../src/oci/digest.ts'
import { AgentProcess } from '../../test/fixtures/agent-process.ts'
import { Fleet } from '../../test/fixtures/fleet.ts'
import { BenchWorld } from './bench-world.ts'

// an agent in a large fleet knows some of the others, and finds the rest when it needs them
const CONNECTIONS = 8
const SETTLED_MS = 3_000
const POLL_MS = 5

/** Agents as processes of one swarm, in front of the registry of a world, through the port that counts and can be cut. */
export class BenchFleet implements AsyncDisposable {
  readonly agents: readonly AgentProcess[]
  readonly #fleet: Fleet<AgentProcess>

  private constructor(fleet: Fleet<AgentProcess>) {
    this.#fleet = fleet
    this.agents = fleet.agents
  }

  /** Resolves when they are connected and quiet. @param keys of the section `swarm` */
  static async start(world: BenchWorld, count: number, keys: object = {}): Promise<BenchFleet> {
    const { registry } = world.registry
    const { program } = world
    const origin = { default: registry, rememberAccess: '1h', registries: { [registry]: { plainHttp: true } } }
    const start = (swarm: object): Promise<AgentProcess> =>
      AgentProcess.start({ program, config: { origin, swarm: { ...swarm, ...keys } } })
    const fleet = await Fleet.start({ count, start, connections: Math.min(count - 1, CONNECTIONS) })
    await pause(SETTLED_MS)
    return new BenchFleet(fleet)
  }

  at(index: number): AgentProcess {
    return this.#fleet.at(index)
  }

  url(agent: AgentProcess, digest: Digest): string {
    return `${agent.facadeUrl}/v2/${BenchWorld.repository}/blobs/${digest}`
  }

  /** Lets every agent know what the tag lists, so that it may be had when the registry is cut off. */
  async introduce(tag: string): Promise<void> {
    for (const agent of this.agents) {
      const answer = await fetch(`${agent.facadeUrl}/v2/${BenchWorld.repository}/manifests/${tag}`)
      await answer.arrayBuffer()
      if (!answer.ok) throw new Error(`agent ${agent.facade} does not get the manifest: ${answer.status}`)
    }
  }

  /** Resolves when the agent has stored what it was fetching. */
  async stored(agent: AgentProcess): Promise<void> {
    while ((await agent.status()).transfers.length > 0) await pause(POLL_MS)
  }

  async remove(agent: AgentProcess, digest: Digest): Promise<void> {
    const answer = await fetch(`${agent.adminUrl}/api/blobs/${digest}`, { method: 'DELETE' })
    await answer.arrayBuffer()
    if (!answer.ok) throw new Error(`the blob is not removed: ${answer.status}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet[Symbol.asyncDispose]()
  }
}
