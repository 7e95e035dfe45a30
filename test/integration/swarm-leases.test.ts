import { afterEach, describe, expect, it, vi } from 'vitest'
import type { BlobSwarm, ChunkRange, Lease } from '../../src/blob/ports.ts'
import { nearestTo } from '../../src/swarm/discovery/nearest.ts'
import { chunksIn, rangesOf } from '../../src/swarm/leases/chunk-ranges.ts'
import { TestBlob } from '../fakes/fake-content.ts'
import { type SwarmAgent, type SwarmAgents, startSwarmAgents } from '../fixtures/swarm-agents.ts'

const CHUNKS = 24
const soon = { timeout: 10_000, interval: 5 }
const blob = new TestBlob(Buffer.alloc(CHUNKS * 256 * 1024))

/** An agent that fetches chunks from an origin when it may: what it asked, was granted and fetched. */
class Puller {
  readonly id: string
  readonly granted: number[] = []
  readonly fetched: number[] = []
  readonly answers: Lease[] = []
  readonly #world: World
  readonly #swarm: BlobSwarm
  readonly #fetching = new Set<number>()
  readonly #timers = new Set<NodeJS.Timeout>()
  /** Milliseconds for a chunk; undefined: it never comes. */
  chunkMs: number | undefined
  hasStopped = false

  constructor(world: World, agent: SwarmAgent, init: { readonly chunkMs: number | undefined }) {
    this.#world = world
    this.id = agent.node.self
    this.chunkMs = init.chunkMs
    const ignore = (): void => {}
    this.#swarm = agent.swarm.join(
      { digest: blob.digest, registry: 'r' },
      {
        found: ignore,
        gained: ignore,
        left: ignore,
        stated: ignore,
        banned: ignore,
        searched: ignore,
        leased: (lease) => this.#leased(lease),
      },
    )
  }

  ask(most = 2): void {
    if (this.hasStopped) return
    const fetching = rangesOf(this.#fetching)
    const size = blob.bytes.length
    this.#swarm.lease({ size, gaps: this.gaps(), fetching, most })
  }

  /** What nobody is known to have. */
  gaps(): ChunkRange[] {
    const all = Array.from({ length: CHUNKS }, (_, index) => index)
    return rangesOf(all.filter((chunk) => !this.#world.known.has(chunk) && !this.#fetching.has(chunk)))
  }

  /** Like an agent whose process is gone: nothing comes any more. */
  stop(): void {
    this.hasStopped = true
    for (const timer of this.#timers) clearTimeout(timer)
  }

  leave(): void {
    this.stop()
    this.#swarm.leave()
  }

  #leased(lease: Lease): void {
    this.answers.push(lease)
    if (this.hasStopped) return
    for (const chunk of chunksIn(lease.ranges)) {
      this.granted.push(chunk)
      this.#fetching.add(chunk)
      if (this.chunkMs !== undefined) this.#after(this.chunkMs, () => this.#bring(chunk))
    }
    if (this.gaps().length > 0) this.#after(lease.ranges.length > 0 ? 0 : Math.max(20, lease.forMs), () => this.ask())
  }

  #bring(chunk: number): void {
    this.#fetching.delete(chunk)
    this.fetched.push(chunk)
    this.#world.known.add(chunk)
    this.#swarm.has([chunk])
    this.ask()
  }

  #after(ms: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      then()
    }, ms)
    this.#timers.add(timer)
  }
}

/** Agents on sockets, the nearest to the digest first, and what all pullers know to be had. */
class World implements AsyncDisposable {
  readonly agents: readonly SwarmAgent[]
  readonly pullers: Puller[] = []
  readonly known = new Set<number>()
  readonly #swarm: SwarmAgents

  constructor(swarm: SwarmAgents) {
    this.#swarm = swarm
    const ids = swarm.agents.map(({ node }) => node.self)
    const order = nearestTo(blob.digest, ids, ids.length)
    this.agents = swarm.agents.toSorted((a, b) => order.indexOf(a.node.self) - order.indexOf(b.node.self))
  }

  at(index: number): SwarmAgent {
    const agent = this.agents.at(index)
    if (agent === undefined) throw new Error('no such agent')
    return agent
  }

  pull(indexes: readonly number[], init: { readonly chunkMs: number | undefined } = { chunkMs: 20 }): Puller[] {
    const started = indexes.map((index) => new Puller(this, this.at(index), init))
    this.pullers.push(...started)
    for (const puller of started) puller.ask()
    return started
  }

  /** All chunks that were fetched, by whomever. */
  get fetched(): number[] {
    return this.pullers.flatMap(({ fetched }) => fetched)
  }

  async complete(timeout = 10_000): Promise<void> {
    const check = (): void => {
      if (this.known.size < CHUNKS) throw new Error(`${this.known.size} of ${CHUNKS} chunks are had`)
    }
    await vi.waitFor(check, { timeout, interval: 5 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const puller of this.pullers) puller.leave()
    await this.#swarm[Symbol.asyncDispose]()
  }
}

describe('leases among agents on sockets', () => {
  let world: World
  afterEach(() => world[Symbol.asyncDispose]())
  const start = async (count: number): Promise<World> => {
    world = new World(await startSwarmAgents(count))
    return world
  }

  it('let agents that start at once fetch every chunk once, all of them some', async () => {
    await start(6)
    world.pull([0, 1, 2, 3, 4, 5])
    await world.complete()
    expect(world.fetched.toSorted((a, b) => a - b)).toEqual(Array.from({ length: CHUNKS }, (_, index) => index))
    expect(world.pullers.filter(({ fetched }) => fetched.length > 0).length).toBeGreaterThanOrEqual(5)
  })

  it('go on within two seconds when the coordinator dies with chunks out', async () => {
    await start(4)
    const pullers = world.pull([1, 2, 3], { chunkMs: 60 })
    await vi.waitFor(() => expect(world.known.size).toBeGreaterThan(2), soon)
    const before = pullers.map(({ granted }) => granted.length).reduce((sum, count) => sum + count)
    await world.at(0).node.stop()
    const died = performance.now()
    await vi.waitFor(() => expect(pullers.flatMap(({ granted }) => granted).length).toBeGreaterThan(before + 3), soon)
    expect(performance.now() - died).toBeLessThan(2_000)
    await world.complete()
    // those that were under way may have been granted a second time
    expect(world.fetched.length).toBeLessThanOrEqual(CHUNKS + 6)
  })

  it('go on within two seconds when the coordinator says nothing any more', async () => {
    await start(4)
    const pullers = world.pull([1, 2, 3], { chunkMs: 60 })
    await vi.waitFor(() => expect(world.known.size).toBeGreaterThan(2), soon)
    world.at(0).swarm.stop()
    const silent = performance.now()
    const before = pullers.map(({ granted }) => granted.length).reduce((sum, count) => sum + count)
    await vi.waitFor(() => expect(pullers.flatMap(({ granted }) => granted).length).toBeGreaterThan(before + 3), soon)
    expect(performance.now() - silent).toBeLessThan(2_500)
    await world.complete()
  })

  it('cost agents that see different coordinators some chunks twice, and nothing else', async () => {
    await start(4)
    // the last one does not see the coordinator of the others
    const hidden = world.at(0).node.self
    world.at(3).ledger.ban(hidden, 'protocol')
    await vi.waitFor(() => expect(world.at(3).node.connected.has(hidden)).toBe(false), soon)
    world.pull([1, 2, 3])
    await world.complete()
    expect(new Set(world.fetched).size).toBe(CHUNKS)
    expect(world.fetched.length).toBeLessThanOrEqual(2 * CHUNKS)
  })

  it('that run out while their bytes still come cost one chunk twice, and what comes late is no fault', async () => {
    await start(3)
    const [slow] = world.pull([1], { chunkMs: 4_500 })
    await vi.waitFor(() => expect(slow?.granted).toHaveLength(1), soon)
    const [late] = slow?.granted ?? []
    world.pull([2])
    await world.complete(4_000)
    await vi.waitFor(() => expect(slow?.fetched).toEqual([late]), soon)
    expect(world.fetched).toHaveLength(CHUNKS + 1)
    expect(world.agents.flatMap(({ ledger }) => ledger.bans())).toEqual([])
  })

  it('do not end with an agent that takes them and fetches nothing', async () => {
    await start(4)
    const liars = world.pull([1], { chunkMs: undefined })
    world.pull([2, 3])
    await world.complete(8_000)
    expect(liars[0]?.fetched).toEqual([])
    expect(liars[0]?.granted.length).toBeLessThan(6)
    expect(world.fetched).toHaveLength(CHUNKS)
  })
})
