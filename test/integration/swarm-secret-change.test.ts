import { afterEach, describe, expect, it, vi } from 'vitest'
import type { SwarmNode } from '../../src/swarm/node/swarm-node.ts'
import {
  bootstrapOf,
  connectedTo,
  disconnectedFrom,
  startSwarm,
  startSwarmNode,
  TEST_KEY,
} from '../fixtures/swarm-nodes.ts'

const OLD = TEST_KEY
const NEW = Buffer.alloc(32, 9)

let stack = new AsyncDisposableStack()

afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

async function node(options: Parameters<typeof startSwarmNode>[0]): Promise<SwarmNode> {
  return stack.use(await startSwarmNode(options))
}

/** Who left whom, from now on. */
function departures(nodes: readonly SwarmNode[]): string[] {
  const seen: string[] = []
  for (const of of nodes)
    stack.defer(of.subscribe({ joined: () => {}, left: ({ id }) => void seen.push(`${of.self} without ${id}`) }))
  return seen
}

describe('a swarm whose secret is changed', () => {
  it('stays together while its agents learn the new one and forget the old one, one after the other', async () => {
    const { nodes } = stack.use(await startSwarm(3))
    const left = departures(nodes)
    for (const one of nodes) one.setKeys([NEW, OLD])
    expect(left).toEqual([])
    for (const one of nodes) {
      one.setKeys([NEW])
      // it has let go of whoever it knew by the old secret, and gets them back by the new one
      await Promise.all(nodes.map((other) => connectedTo(other, 2)))
    }
    const calm = left.length
    expect(calm).toBeGreaterThan(0)
    for (const one of nodes) one.setKeys([NEW])
    expect(left).toHaveLength(calm)
    const late = await node({ keys: [NEW], bootstrap: nodes.slice(0, 1).map(bootstrapOf) })
    await connectedTo(late, 3)
  })

  it('takes in agents that know either, through one that knows both', async () => {
    const both = await node({ keys: [NEW, OLD] })
    const old = await node({ keys: [OLD], bootstrap: [bootstrapOf(both)] })
    const fresh = await node({ keys: [NEW], bootstrap: [bootstrapOf(both)] })
    const reversed = await node({ keys: [OLD, NEW], bootstrap: [bootstrapOf(both)] })
    await connectedTo(both, 3)
    await connectedTo(reversed, 3)
    expect([...both.connected.keys()].sort()).toEqual([old.self, fresh.self, reversed.self].sort())
    expect(old.connected.has(fresh.self)).toBe(false)
  })

  it('lets go of whoever knows the old one alone, for good and for its lane too', async () => {
    const fingerprint = 'ab'.repeat(32)
    const member = await node({ keys: [NEW, OLD] })
    const stranger = await node({
      keys: [OLD],
      bootstrap: [bootstrapOf(member)],
      ownLane: () => ({ fingerprint, port: 5052, hosts: [] }),
    })
    await connectedTo(member, 1)
    expect(member.byFingerprint(fingerprint)?.id).toBe(stranger.self)
    member.setKeys([NEW])
    expect(member.connected.size).toBe(0)
    expect(member.byFingerprint(fingerprint)).toBeUndefined()
    await disconnectedFrom(stranger, member.self)
    await vi.waitUntil(() => member.refusals['wrong-secret'] > 0, { timeout: 10_000, interval: 10 })
    expect(member.connected.size).toBe(0)
    expect(member.libp2p.getConnections()).toEqual([])
  })
})
