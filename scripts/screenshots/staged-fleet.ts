/**
 * A small fleet with an hour behind it: real agents in this process, one that lies in another, and real transfers. Only the
 * time between them is left out, by moving the clock of this process.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { TransfersAnswer } from '../../src/facade/transfers-api.ts'
import { AgentProcess } from '../../test/fixtures/agent-process.ts'
import { FaultOrigin } from '../../test/fixtures/fault-origin.ts'
import { Fleet, type FleetAgent } from '../../test/fixtures/fleet.ts'
import { buildImage } from '../../test/fixtures/image.ts'
import { pullImage } from '../../test/fixtures/pull.ts'
import { TestAgent } from '../../test/fixtures/test-agent.ts'
import { setBehind } from './moved-clock.ts'

const MIB = 1024 * 1024
const MINUTE_MS = 60_000
const POLL_MS = 50
const REACHED_MS = 90_000
const LIAR = fileURLToPath(new URL('../../test/fixtures/liar-preload.ts', import.meta.url))
const ZONES = ['rack-a', 'rack-a', 'rack-b', 'rack-b', 'rack-b', 'rack-c', 'rack-c', 'rack-c']
const ORIGIN_RATE = 16 * MIB
const DOWNLOAD_RATE = '10MiB'
/** So long the page needs to hear of what was pulled. */
const SEEN_MS = 700

interface Staged {
  readonly repository: string
  readonly tag: string
  readonly mib: readonly number[]
}

/** Pulled in the hour before, by the minutes since: the watched agent is number 0. */
const HOUR: readonly (Staged & { readonly before: number; readonly by: readonly number[] })[] = [
  { repository: 'shop/base', tag: '12', mib: [18], before: 3, by: [0] },
  { repository: 'shop/base', tag: '12', mib: [18], before: 1, by: [2, 5] },
  { repository: 'shop/search', tag: '4.0.2', mib: [12, 9], before: 6, by: [3] },
  { repository: 'shop/search', tag: '4.0.2', mib: [12, 9], before: 2, by: [0, 6] },
  { repository: 'shop/payments', tag: '1.19', mib: [16], before: 5, by: [1, 4] },
  { repository: 'shop/payments', tag: '1.19', mib: [16], before: 1, by: [0] },
  { repository: 'shop/mail', tag: '7.3', mib: [6, 5], before: 7, by: [0] },
  { repository: 'shop/mail', tag: '7.3', mib: [6, 5], before: 1, by: [1, 2, 3] },
  { repository: 'shop/images', tag: '2026.11', mib: [14, 8], before: 9, by: [7] },
  { repository: 'shop/images', tag: '2026.11', mib: [14, 8], before: 2, by: [0, 5] },
  { repository: 'shop/stock', tag: '3.8.1', mib: [20], before: 6, by: [4, 6] },
  { repository: 'shop/stock', tag: '3.8.1', mib: [20], before: 1, by: [0] },
]
const AFTER = 4
const FALSE_IMAGE: Staged = { repository: 'shop/reports', tag: '0.9', mib: [8] }
/** On their way when the picture is taken: the first is at peers, the second at the registry alone. */
const LARGE: Staged = { repository: 'shop/checkout', tag: '2.14.0', mib: [46, 22] }
const NEW: Staged = { repository: 'shop/assistant', tag: '1.0.0-rc.3', mib: [40] }

export class StagedFleet implements AsyncDisposable {
  readonly #origin: FaultOrigin
  readonly #fleet: Fleet<TestAgent | AgentProcess>
  readonly #pulls: Promise<unknown>[] = []
  #isSlow = false

  private constructor(origin: FaultOrigin, fleet: Fleet<TestAgent | AgentProcess>) {
    this.#origin = origin
    this.#fleet = fleet
    const match = { path: /blobs/, when: () => this.#isSlow }
    origin.inject({ fault: { kind: 'slow', bytesPerSecond: ORIGIN_RATE }, match, times: Number.POSITIVE_INFINITY })
  }

  static async start(): Promise<StagedFleet> {
    const origin = await FaultOrigin.start()
    try {
      const fleet = await Fleet.start<TestAgent | AgentProcess>({
        count: ZONES.length,
        start: (swarm, index) =>
          TestAgent.start({
            origins: [],
            origin: originSection(origin),
            swarm: { ...swarm, zone: ZONES[index] ?? '', ...(index === 0 && { downloadRate: DOWNLOAD_RATE }) },
            store: { quota: '2GiB' },
          }),
      })
      const staged = new StagedFleet(origin, fleet)
      await staged.#leavePartial()
      return staged
    } catch (error) {
      await origin.close()
      throw error
    }
  }

  /** Of the agent that is watched. */
  get pageUrl(): string {
    return (this.#fleet.first as TestAgent).adminUrl('/')
  }

  /** Lets the hour pass. A page must be open, since that is what keeps its record up to date. */
  async passHour(): Promise<void> {
    let behind = (HOUR.reduce((sum, { before }) => sum + before, 0) + AFTER) * MINUTE_MS
    setBehind(behind)
    for (const staged of HOUR) {
      behind -= staged.before * MINUTE_MS
      setBehind(behind)
      await this.#publish(staged)
      await Promise.all(staged.by.map((index) => this.#pull(this.#fleet.at(index), staged)))
      await pause(SEEN_MS)
    }
    await this.#meetLiar()
    await pause(SEEN_MS)
    setBehind(0)
  }

  /** Resolves when the watched agent is in the middle of two pulls. */
  async beginPulls(): Promise<void> {
    const watched = this.#fleet.first
    await this.#publish(LARGE)
    await Promise.all([2, 4, 7].map((index) => this.#pull(this.#fleet.at(index), LARGE)))
    this.#isSlow = true
    this.#pulls.push(this.#pull(watched, NEW).catch(() => undefined))
    await this.#reached(NEW, 0.35)
    this.#pulls.push(this.#pull(watched, LARGE).catch(() => undefined))
    await this.#reached(LARGE, 0.45)
  }

  /** The watched agent ends in the middle of a pull, and finds on its disk what it had. */
  async #leavePartial(): Promise<void> {
    const watched = this.#fleet.first as TestAgent
    await this.#publish(NEW)
    this.#isSlow = true
    const left = this.#pull(watched, NEW).catch(() => undefined)
    await this.#reached(NEW, 0.12)
    await watched.restart()
    await left
    this.#isSlow = false
    await this.#fleet.connected()
  }

  /** @param share of the chunks of its first layer */
  async #reached({ repository, mib: [mib = 0] }: Staged, share: number): Promise<void> {
    const deadline = performance.now() + REACHED_MS
    for (;;) {
      const answer = await fetch(new URL('api/transfers', this.pageUrl))
      const { transfers } = (await answer.json()) as TransfersAnswer
      const found = transfers.find(
        ({ names, size = 0 }) => names.some((name) => name.includes(repository)) && size >= mib * MIB,
      )
      if (found !== undefined && found.verifiedChunks >= share * found.chunks) return
      if (performance.now() > deadline) throw new Error(`${repository} is not on its way`)
      await pause(POLL_MS)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet[Symbol.asyncDispose]()
    await this.#origin.close()
    await Promise.all(this.#pulls)
  }

  async #meetLiar(): Promise<void> {
    await this.#publish(FALSE_IMAGE)
    const liar = await this.#fleet.add((swarm) =>
      AgentProcess.start({
        config: { origin: originSection(this.#origin), swarm: { ...swarm, zone: 'rack-b' } },
        preload: LIAR,
      }),
    )
    await this.#pull(liar, FALSE_IMAGE)
    await this.#pull(this.#fleet.first, FALSE_IMAGE)
    const { swarm } = await liar.status()
    for (let waited = 0; waited < 10_000; waited += POLL_MS) {
      const { bans } = await this.#fleet.first.peers()
      if (bans.some(({ peer }) => peer === swarm?.id)) return
      await pause(POLL_MS)
    }
    throw new Error('the liar was not shut out')
  }

  async #publish({ repository, tag, mib }: Staged): Promise<void> {
    const image = await buildImage({ seed: `${repository} ${tag}`, layerBytes: mib.map((count) => count * MIB) })
    for (const bytes of image.blobs.values()) this.#origin.addBlob(bytes)
    for (const { digest, mediaType, bytes } of image.manifests)
      this.#origin.addManifest(repository, digest === image.digest ? tag : undefined, bytes, mediaType)
  }

  async #pull(agent: FleetAgent, { repository, tag }: Staged): Promise<void> {
    await pullImage({ facade: agent.facade }, repository, tag)
  }
}

function originSection(origin: FaultOrigin): object {
  return { default: 'docker.io', registries: { 'docker.io': { mirrors: [origin.url] } } }
}
