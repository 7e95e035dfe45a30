/** Members whose release speaks another version of the swarm protocol, or none: of no use, and no trouble. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { DhtProviderDirectory } from '../../src/swarm/discovery/dht-provider-directory.ts'
import { nearestTo } from '../../src/swarm/discovery/nearest.ts'
import { deriveSwarmKey } from '../../src/swarm/membership/swarm-secret.ts'
import type { SwarmNode } from '../../src/swarm/node/swarm-node.ts'
import { SWARM_PROTOCOL } from '../../src/swarm/protocol/swarm-protocol.ts'
import type { TestBlob } from '../fakes/fake-content.ts'
import { silentLog } from '../fakes/silent-log.ts'
import { Arena } from '../fixtures/adversary/arena.ts'
import { blobOf } from '../fixtures/adversary/false-blob.ts'
import { WatchedPulls } from '../fixtures/adversary/watched-pulls.ts'
import { connectedTo, startSwarmNode } from '../fixtures/swarm-nodes.ts'

const CHUNKS = 8
const LATER_PROTOCOL = SWARM_PROTOCOL.replace(/\d+$/, '2')
const VERSION = '99.0.0'

/** What the member of another release does with the protocols that it knows. */
const RELEASES: readonly (readonly [string, (node: SwarmNode) => void])[] = [
  ['speaks none', () => {}],
  ['speaks a later one only', (node) => node.handle(LATER_PROTOCOL, (stream) => stream.abort(new Error('unexpected')))],
]

let arena: Arena
const lost = RELEASES.map(([name]) => blobOf(`lost ${name}`, CHUNKS))

beforeAll(async () => {
  arena = await Arena.start({ honest: 4, lost })
})
afterAll(() => arena[Symbol.asyncDispose]())

/** A blob for which all agents take that one to be the coordinator, and ask it first. */
function blobNearestTo(id: string, others: readonly string[], name: string): TestBlob {
  for (let turn = 0; ; turn++) {
    const blob = blobOf(`${name} ${turn}`, CHUNKS)
    if (nearestTo(blob.digest, [id, ...others], 1)[0] === id) return blob
  }
}

async function pullAll(blob: TestBlob, from: Parameters<Arena['url']>[2]): Promise<void> {
  const takers = arena.fleet.agents.slice(1)
  const pulls = new WatchedPulls()
  await Promise.all(takers.map((taker) => pulls.pull(arena.url(taker, blob, from), blob)))
  await Promise.all(takers.map((taker) => taker.idle()))
  pulls.check(takers.length)
}

describe.each(RELEASES)('a member that %s', (name, prepare) => {
  it('holds up no pull, is blamed for nothing, and others find each other past it', async () => {
    const { listening } = await arena.fleet.first.status()
    await using member = await startSwarmNode({
      keys: [await deriveSwarmKey(arena.fleet.secret)],
      bootstrap: listening.swarm.slice(0, 1),
      version: VERSION,
      prepare,
    })
    await connectedTo(member, arena.fleet.agents.length)
    const directory = new DhtProviderDirectory(
      { node: member, metrics: { lookedUp: () => {}, announced: () => {} }, clock: Date.now, log: silentLog },
      { recordMs: 60_000, settleMs: 0 },
    )
    directory.start()
    await using _directory = { [Symbol.asyncDispose]: () => directory.stop() }
    const ids = (await arena.statuses()).map(({ swarm }) => swarm?.id ?? '')

    const cold = blobNearestTo(member.self, ids, `cold ${name}`)
    arena.live.addBlob(cold.bytes)
    await pullAll(cold, 'slow')

    // what it says to have can't be asked of it
    const held = lost[RELEASES.findIndex(([one]) => one === name)] ?? cold
    directory.announce(held.digest)
    await pullAll(held, 'lost')

    expect((await arena.bans()).flat()).toEqual([])
    await vi.waitFor(async () => {
      for (const { peers } of await Promise.all(arena.fleet.agents.map((agent) => agent.peers())))
        expect(peers).toContainEqual(expect.objectContaining({ id: member.self, isConnected: true, version: VERSION }))
    })
  })
})
