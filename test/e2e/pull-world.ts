import { vi } from 'vitest'
import { AgentProcess } from '../fixtures/agent-process.ts'
import type { ClientInit, ImageClient } from '../fixtures/client.ts'
import { HubStandIn } from '../fixtures/hub-stand-in.ts'
import { buildImage, hasStaticBusybox, type Image, type ImageSpec } from '../fixtures/image.ts'
import { pushImage } from '../fixtures/push-image.ts'
import { RegistryProcess } from '../fixtures/registry-process.ts'

const PROBE = 'library/probe'

export interface ClientStart extends ClientInit {
  /** Docker Hub, for a client that cannot be told of another registry than its mirror. */
  readonly hub: HubStandIn
}

export interface ClientKind {
  unavailable(): string | undefined
  start(init: ClientStart): Promise<ImageClient>
}

export interface PushedImage extends Image {
  readonly repository: string
  /** On Docker Hub. */
  readonly reference: string
}

interface Parts {
  readonly registry: RegistryProcess
  readonly hub: HubStandIn
  readonly agent: AgentProcess
  readonly client: ImageClient
  /** Closes all of them. */
  readonly owned: AsyncDisposableStack
}

/** A registry that stands for Docker Hub, an agent before it, and one client of that agent. */
export class PullWorld {
  readonly registry: RegistryProcess
  readonly hub: HubStandIn
  readonly agent: AgentProcess
  readonly client: ImageClient
  readonly #owned: AsyncDisposableStack
  #pushed = 0

  private constructor(parts: Parts) {
    this.registry = parts.registry
    this.hub = parts.hub
    this.agent = parts.agent
    this.client = parts.client
    this.#owned = parts.owned
  }

  static async start(kind: ClientKind): Promise<PullWorld> {
    await using stack = new AsyncDisposableStack()
    const registry = stack.adopt(await RegistryProcess.start(), (one) => one.close())
    const hub = stack.adopt(await HubStandIn.start(registry.direct), (one) => one.close())
    const agent = stack.adopt(await AgentProcess.start({ config: agentConfig(registry) }), (one) => one.close())
    const upstreams = ['docker.io', registry.registry].map((name) => ({ registry: name, address: registry.direct }))
    const client = stack.adopt(await kind.start({ facade: agent.facade, upstreams, hub }), (one) => one.close())
    await pushImage(await buildImage({ seed: PROBE, layerBytes: [] }), registry.direct, PROBE, 'latest')
    return new PullWorld({ registry, hub, agent, client, owned: stack.move() })
  }

  /** A new image under a name of its own, at the registry. */
  async push(spec: Omit<ImageSpec, 'seed'> & { readonly seed?: string }): Promise<PushedImage> {
    this.#pushed += 1
    const repository = `library/image-${this.#pushed}`
    return this.pushAs(repository, { seed: repository, ...spec })
  }

  /** Moves the tag of `repository` if it is there. */
  async pushAs(repository: string, spec: ImageSpec): Promise<PushedImage> {
    const image = await buildImage({ busybox: this.client.run !== undefined && (await hasStaticBusybox()), ...spec })
    await pushImage(image, this.registry.direct, repository, 'latest')
    return { ...image, repository, reference: `docker.io/${repository}:latest` }
  }

  /** Pulls. @returns bytes that the agent's origin has sent meanwhile */
  async pulledBytes(reference: string): Promise<number> {
    const before = this.registry.proxy.bytesOut
    await this.client.pull(reference)
    return this.registry.proxy.bytesOut - before
  }

  /** The agent as it was started, whatever it has been turned into. */
  async restoreAgent(): Promise<void> {
    await this.agent.restart({ config: agentConfig(this.registry) })
  }

  /** Runs `work` while the registry is ended, which both the agent and the client would go to. */
  async withoutOrigin(work: () => Promise<void>): Promise<void> {
    await this.registry.stop()
    try {
      await work()
    } finally {
      await this.registry.start()
      // an agent does not ask again for a moment after an outage
      await vi.waitFor(() => this.#expectOriginAnswer(), { timeout: 20_000, interval: 50 })
    }
  }

  async #expectOriginAnswer(): Promise<void> {
    for (const path of ['', `${this.registry.registry.replace(':', '_')}/`]) {
      const answer = await fetch(`${this.agent.facadeUrl}/v2/${path}${PROBE}/tags/list`)
      if (!answer.ok) throw new Error(`the agent answers ${answer.status}: ${await answer.text()}`)
    }
  }

  close(): Promise<void> {
    return this.#owned.disposeAsync()
  }
}

function agentConfig(registry: RegistryProcess): Record<string, object> {
  return {
    origin: { registries: { 'docker.io': { mirrors: [registry.url] }, [registry.registry]: { plainHttp: true } } },
  }
}
