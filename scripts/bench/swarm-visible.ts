import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Digest } from '../../src/oci/digest.ts'
import { DhtProviderDirectory } from '../../src/swarm/discovery/dht-provider-directory.ts'
import type { SwarmNode } from '../../src/swarm/node/swarm-node.ts'
import { silentLog } from '../../test/fakes/silent-log.ts'
import { sha256 } from '../../test/fixtures/image.ts'
import { seededRandom } from '../../test/fixtures/known-blobs.ts'
import { bootstrapOf, connectedTo, startSwarmNode } from '../../test/fixtures/swarm-nodes.ts'
import { quantile, type Row } from './report.ts'

const NODES = 48
const CONNECTIONS = 40
const CONNECTED_MS = 120_000
const RECORDS = 60
const WARM_UP = 10
const RECORD_MS = 3_600_000
const GIVE_UP_MS = 10_000
// what an agent may announce at once is bounded, and refills
const REST_MS = 300
// a lookup that finds nobody asks many: without a rest it would take the CPU from what it waits for
const POLL_MS = 20
const GOAL_MS = 250

/** How long after an agent has announced a blob another one finds it. All 48 nodes are in this process. */
export async function swarmVisible(): Promise<Row[]> {
  await using stack = new AsyncDisposableStack()
  const nodes: SwarmNode[] = []
  for (let index = 0; index < NODES; index++) {
    const bootstrap = nodes.slice(0, 1).map(bootstrapOf)
    nodes.push(stack.use(await startSwarmNode({ bootstrap })))
  }
  await Promise.all(nodes.map((node) => connectedTo(node, CONNECTIONS, CONNECTED_MS)))
  const directories = nodes.map((node) => {
    const directory = directoryOf(node)
    directory.start()
    stack.defer(() => directory.stop())
    return { node, directory }
  })
  const random = seededRandom(1)
  const another = (than: number): number => (than + 1 + Math.floor(random() * (NODES - 1))) % NODES
  const times: number[] = []
  const lookups: number[] = []
  for (let record = 0; record < RECORDS; record++) {
    const from = Math.floor(random() * NODES)
    const [giver, taker, late] = [directories[from], directories[another(from)], directories[another(from)]]
    if (giver === undefined || taker === undefined || late === undefined) throw new Error('no such node')
    const key = sha256(randomBytes(32))
    const begun = performance.now()
    giver.directory.announce(key)
    await found(taker.directory, key, giver.node.self)
    times.push(performance.now() - begun)
    await pause(REST_MS)
    const again = performance.now()
    await found(late.directory, key, giver.node.self)
    lookups.push(performance.now() - again)
  }
  const measured = times.slice(WARM_UP)
  const p95 = quantile(measured, 0.95)
  const later = lookups.slice(WARM_UP)
  return [
    {
      measure: `a new record is found by others, ${NODES} nodes (one process)`,
      shoal: `p50 ${quantile(measured, 0.5).toFixed(0)} worst ${Math.max(...measured).toFixed(0)} ms`,
      against: `lookup later p50 ${quantile(later, 0.5).toFixed(0)} p95 ${quantile(later, 0.95).toFixed(0)} ms`,
      result: `p95 ${p95.toFixed(0)} ms`,
      goal: `≤ ${GOAL_MS} ms`,
      isMet: p95 <= GOAL_MS,
    },
  ]
}

function directoryOf(node: SwarmNode): DhtProviderDirectory {
  const metrics = { lookedUp: (): void => {}, announced: (): void => {} }
  return new DhtProviderDirectory(
    { node, metrics, clock: Date.now, log: silentLog },
    { recordMs: RECORD_MS, settleMs: 100 },
  )
}

/** Looks it up again and again until it finds that provider. */
async function found(directory: DhtProviderDirectory, key: Digest, provider: string): Promise<void> {
  const signal = AbortSignal.timeout(GIVE_UP_MS)
  while (!signal.aborted) {
    for await (const id of directory.find(key, { signal })) if (id === provider) return
    await pause(POLL_MS)
  }
  throw new Error(`nobody was found within ${GIVE_UP_MS} ms`)
}
