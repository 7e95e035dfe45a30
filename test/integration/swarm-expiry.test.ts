/** Provider records that end within a second, among agents that come and go. */
import { createHash } from 'node:crypto'
import { afterEach, expect, it, vi } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { DhtProviderDirectory } from '../../src/swarm/discovery/dht-provider-directory.ts'
import type { SwarmNode } from '../../src/swarm/node/swarm-node.ts'
import { silentLog } from '../fakes/silent-log.ts'
import { bootstrapOf, connectedTo, startSwarm, startSwarmNode } from '../fixtures/swarm-nodes.ts'

const RECORD_MS = 1_000
const SOON = { timeout: 15_000, interval: 20 }
const timing = { recordMs: RECORD_MS }

let stack = new AsyncDisposableStack()
let announced = 0

afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
  announced = 0
})

function directoryOf(node: SwarmNode): DhtProviderDirectory {
  const metrics = {
    lookedUp: () => {},
    announced: (outcome: 'sent' | 'failed') => {
      if (outcome === 'sent') announced += 1
    },
  }
  const directory = new DhtProviderDirectory(
    { node, metrics, clock: Date.now, log: silentLog },
    { ...timing, settleMs: 50 },
  )
  directory.start()
  stack.defer(() => directory.stop())
  return directory
}

function keyOf(name: string): Digest {
  return digestOf('sha256', createHash('sha256').update(name).digest('hex'))
}

async function find(directory: DhtProviderDirectory, key: Digest): Promise<string[]> {
  const found: string[] = []
  for await (const id of directory.find(key, { signal: AbortSignal.timeout(5_000) })) found.push(id)
  return found
}

/** True as soon as it is. @throws Error when that takes too long */
async function isFound(directory: DhtProviderDirectory, key: Digest, id: string): Promise<boolean> {
  return await vi.waitUntil(async () => (await find(directory, key)).includes(id), SOON)
}

/** Longer than any record lasts that was made before. */
async function afterTheirLife(): Promise<void> {
  const from = Date.now()
  await vi.waitUntil(() => Date.now() - from > 2 * RECORD_MS, SOON)
}

it('are found by an agent that comes when those of the beginning have long ended', async () => {
  const { nodes } = stack.use(await startSwarm(6, () => ({ timing })))
  const [giver, other] = nodes
  if (giver === undefined || other === undefined) throw new Error('no nodes')
  const key = keyOf('kept')
  directoryOf(giver).announce(key)
  await isFound(directoryOf(other), key, giver.self)
  const before = announced
  await vi.waitUntil(() => announced >= before + 4, SOON)
  const late = stack.use(await startSwarmNode({ timing, bootstrap: [bootstrapOf(other)] }))
  await connectedTo(late, 1)
  expect(await isFound(directoryOf(late), key, giver.self)).toBe(true)
})

it('are found again when all who kept them have left', async () => {
  const first = stack.use(await startSwarmNode({ timing }))
  const key = keyOf('moved')
  directoryOf(first).announce(key)
  const keepers = await Promise.all([1, 2, 3, 4].map(() => startSwarmNode({ timing, bootstrap: [bootstrapOf(first)] })))
  await connectedTo(first, 4)
  const keeper = keepers[0]
  if (keeper === undefined) throw new Error('no node')
  await isFound(directoryOf(keeper), key, first.self)
  const newcomers = await Promise.all([1, 2, 3].map(() => startSwarmNode({ timing, bootstrap: [bootstrapOf(first)] })))
  for (const newcomer of newcomers) stack.use(newcomer)
  await Promise.all(newcomers.map((newcomer) => connectedTo(newcomer, 1)))
  await Promise.all(keepers.map((one) => one.stop()))
  await afterTheirLife()
  for (const newcomer of newcomers) expect(await isFound(directoryOf(newcomer), key, first.self)).toBe(true)
})

it('of an agent that is gone end by themselves, and those of others stay', async () => {
  const { nodes } = stack.use(await startSwarm(4, () => ({ timing })))
  const [stays, other] = nodes
  const goes = await startSwarmNode({ timing, bootstrap: [bootstrapOf(stays ?? other ?? raise())] })
  const key = keyOf('both')
  if (stays === undefined || other === undefined) throw new Error('no nodes')
  directoryOf(stays).announce(key)
  directoryOf(goes).announce(key)
  const looking = directoryOf(other)
  await isFound(looking, key, goes.self)
  await isFound(looking, key, stays.self)
  await goes.stop()
  await vi.waitUntil(async () => !(await find(looking, key)).includes(goes.self), SOON)
  expect(await find(looking, key)).toEqual([stays.self])
})

function raise(): never {
  throw new Error('no nodes')
}
