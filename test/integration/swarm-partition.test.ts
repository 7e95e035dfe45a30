/** A network that is cut in two, and one again. */
import { createHash } from 'node:crypto'
import { afterEach, expect, it, vi } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { DhtProviderDirectory } from '../../src/swarm/discovery/dht-provider-directory.ts'
import type { SwarmNode } from '../../src/swarm/node/swarm-node.ts'
import { silentLog } from '../fakes/silent-log.ts'
import { bootstrapOf, connectedTo, type SwarmNodeOptions, startSwarm, startSwarmNode } from '../fixtures/swarm-nodes.ts'

const SOON = { timeout: 15_000, interval: 20 }
/** With so many connections an agent takes it that it is in its swarm, and dials seldom. */
const ENOUGH = 4

let stack = new AsyncDisposableStack()

afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

/** Agents in two halves, and whether anything gets from one to the other. */
class Partition {
  readonly halves: [SwarmNode[], SwarmNode[]] = [[], []]
  readonly #halfOf = new Map<string, number>()
  #isCut = false

  static async start(count: number): Promise<Partition> {
    const partition = new Partition()
    await partition.#start(count)
    return partition
  }

  get all(): SwarmNode[] {
    return this.halves.flat()
  }

  /** Connections between the halves end, and none is made from now on. */
  cut(): void {
    this.#isCut = true
    for (const node of this.all) {
      const lost = node.libp2p
        .getConnections()
        .filter(({ remotePeer }) => this.#halfOf.get(remotePeer.toString()) !== this.#halfOf.get(node.self))
      for (const connection of lost) connection.abort(new Error('the network is cut'))
    }
  }

  mend(): void {
    this.#isCut = false
  }

  /** What makes an agent one of that half. */
  in(half: number): SwarmNodeOptions {
    return {
      timing: { bootstrapIdleMs: 300 },
      isBanned: (id) => this.#isCut && this.#halfOf.get(id) !== half,
      prepare: (node) => {
        this.#halfOf.set(node.self, half)
        this.halves[half]?.push(node)
      },
    }
  }

  async #start(count: number): Promise<void> {
    stack.use(await startSwarm(count, (index) => this.in(index % 2)))
  }
}

function directoryOf(node: SwarmNode): DhtProviderDirectory {
  const metrics = { lookedUp: () => {}, announced: () => {} }
  const directory = new DhtProviderDirectory(
    { node, metrics, clock: Date.now, log: silentLog },
    { recordMs: 60_000, settleMs: 100 },
  )
  directory.start()
  stack.defer(() => directory.stop())
  return directory
}

async function finds(directory: DhtProviderDirectory, name: string, provider: SwarmNode): Promise<void> {
  const signal = AbortSignal.timeout(15_000)
  await vi.waitUntil(async () => {
    for await (const id of directory.find(digestOfName(name), { signal })) if (id === provider.self) return true
    return false
  }, SOON)
}

function digestOfName(name: string): ReturnType<typeof digestOf> {
  return digestOf('sha256', createHash('sha256').update(name).digest('hex'))
}

it.each([
  ['of many agents each, by the addresses of bootstrap', { count: 2 * (ENOUGH + 1), isConfigured: true }],
  ['of few agents each, by the peers of before where none is configured any more', { count: 4, isConfigured: false }],
])('two halves %s find each other again', async (_, { count, isConfigured }) => {
  const partition = await Partition.start(count)
  const [[one, two], [other]] = partition.halves
  if (one === undefined || two === undefined || other === undefined) throw new Error('no agents')
  const [directory, sibling, stranger] = [one, two, other].map(directoryOf)
  if (!isConfigured) for (const node of partition.all) node.setBootstrap([])

  partition.cut()
  await vi.waitUntil(() => partition.all.every(({ connected }) => connected.size === count / 2 - 1), SOON)
  // each is a swarm by itself: blobs are found in it, and who comes is taken in
  directory?.announce(digestOfName('layer'))
  if (sibling !== undefined) await finds(sibling, 'layer', one)
  const late = stack.use(await startSwarmNode({ bootstrap: [bootstrapOf(other)], ...partition.in(1) }))
  await connectedTo(late, count / 2)
  const others = partition.halves[1].filter((node) => node !== late).map(({ self }) => self)
  expect([...late.connected.keys()].sort()).toEqual(others.sort())

  partition.mend()
  await Promise.all(partition.all.map((node) => connectedTo(node, count)))
  if (stranger !== undefined) await finds(stranger, 'layer', one)
})
