/** The traps of DESIGN.md §5 by their letters. */
import { createHash } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { DhtProviderDirectory } from '../../src/swarm/discovery/dht-provider-directory.ts'
import type { SwarmNode } from '../../src/swarm/node/swarm-node.ts'
import { silentLog } from '../fakes/silent-log.ts'
import { bootstrapOf, connectedTo, disconnectedFrom, startSwarm, startSwarmNode } from '../fixtures/swarm-nodes.ts'

const DAY = 24 * 3_600_000

let stack = new AsyncDisposableStack()

afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

interface Lookups {
  found: number
  missed: number
  sent: number
}

function directoryOf(node: SwarmNode, recordMs = DAY): { directory: DhtProviderDirectory; counts: Lookups } {
  const counts = { found: 0, missed: 0, sent: 0 }
  const directory = new DhtProviderDirectory(
    {
      node,
      clock: Date.now,
      log: silentLog,
      metrics: {
        lookedUp: (found) => {
          if (found) counts.found += 1
          else counts.missed += 1
        },
        announced: (outcome) => {
          if (outcome === 'sent') counts.sent += 1
        },
      },
    },
    { recordMs, settleMs: 100 },
  )
  directory.start()
  stack.defer(() => directory.stop())
  return { directory, counts }
}

function digest(name: string): Digest {
  return digestOf('sha256', createHash('sha256').update(name).digest('hex'))
}

async function find(directory: DhtProviderDirectory, key: Digest): Promise<string[]> {
  const found: string[] = []
  for await (const id of directory.find(key, { signal: AbortSignal.timeout(10_000) })) found.push(id)
  return found
}

/** Searches until these are found, and nobody else; throws when that takes too long. */
async function findsOnly(
  directory: DhtProviderDirectory,
  key: Digest,
  ids: readonly string[],
  timeout = 10_000,
): Promise<boolean> {
  const wanted = ids.toSorted().join()
  return await vi.waitUntil(async () => (await find(directory, key)).sort().join() === wanted, {
    timeout,
    interval: 20,
  })
}

describe('the directory of providers', () => {
  it('tells every agent who announced a key, but not an agent of itself', async () => {
    const { nodes } = stack.use(await startSwarm(6))
    const [holder, seeker] = nodes
    if (holder === undefined || seeker === undefined) throw new Error('no nodes')
    directoryOf(holder).directory.announce(digest('quick'))
    const { directory } = directoryOf(seeker)
    await findsOnly(directory, digest('quick'), [holder.self])
    const walk = vi.spyOn(seeker.libp2p.services.dht, 'findProviders')
    const found: string[] = []
    const options = { signal: AbortSignal.timeout(10_000), isQuick: true }
    for await (const id of directory.find(digest('quick'), options)) found.push(id)
    expect(found).toEqual([holder.self])
    const nothing: string[] = []
    for await (const id of directory.find(digest('unknown'), options)) nothing.push(id)
    expect(nothing).toEqual([])
    expect(walk).not.toHaveBeenCalled()
  })

  it('announces a key once, however often it is told to', async () => {
    const { nodes } = stack.use(await startSwarm(2))
    const [node, other] = nodes
    if (node === undefined || other === undefined) throw new Error('no nodes')
    const { directory, counts } = directoryOf(node)
    for (let i = 0; i < 50; i++) directory.announce(digest('layer'))
    await findsOnly(directoryOf(other).directory, digest('layer'), [node.self])
    for (let i = 0; i < 50; i++) directory.announce(digest('layer'))
    directory.announce(digest('last'))
    await findsOnly(directoryOf(other).directory, digest('last'), [node.self])
    await vi.waitUntil(() => counts.sent >= 2, { timeout: 5_000 })
    expect(counts.sent).toBe(2)
  })

  it('announces what it had before it met anybody', async () => {
    const early = stack.use(await startSwarmNode())
    const { directory } = directoryOf(early)
    directory.announce(digest('layer'))
    const late = stack.use(await startSwarmNode({ bootstrap: [bootstrapOf(early)] }))
    expect(await findsOnly(directoryOf(late).directory, digest('layer'), [early.self])).toBe(true)
  })

  it('finds providers that it is not connected with, and how to reach them', async () => {
    const { nodes } = stack.use(await startSwarm(3))
    const [a, b, c] = nodes
    if (a === undefined || b === undefined || c === undefined) throw new Error('no nodes')
    directoryOf(a).directory.announce(digest('layer'))
    await findsOnly(directoryOf(b).directory, digest('layer'), [a.self])
    const newcomer = stack.use(
      await startSwarmNode({ bootstrap: [bootstrapOf(b)], timing: { askMs: 60_000, initialQuerySelfMs: 60_000 } }),
    )
    await connectedTo(newcomer, 1)
    await findsOnly(directoryOf(newcomer).directory, digest('layer'), [a.self])
    const member = await newcomer.connect(a.self, { signal: AbortSignal.timeout(5_000) })
    expect(member.id).toBe(a.self)
  })

  it('takes keys of other algorithms as not to be found', async () => {
    const { nodes } = stack.use(await startSwarm(2))
    const [node] = nodes
    if (node === undefined) throw new Error('no node')
    const { directory } = directoryOf(node)
    const sha512 = digestOf('sha512', createHash('sha512').update('x').digest('hex'))
    directory.announce(sha512)
    directory.withdraw(sha512)
    expect(await find(directory, sha512)).toEqual([])
  })

  it('ends a search at once when it is told to', async () => {
    const { nodes } = stack.use(await startSwarm(3))
    const [node] = nodes
    if (node === undefined) throw new Error('no node')
    const { directory } = directoryOf(node)
    const stopped = new AbortController()
    stopped.abort()
    const found: string[] = []
    for await (const id of directory.find(digest('x'), stopped)) found.push(id)
    expect(found).toEqual([])
    const searches = Array.from({ length: 5 }, () => find(directory, digest('y')))
    await directory.stop()
    expect(await Promise.all(searches)).toEqual([[], [], [], [], []])
  })
})

describe('traps of the DHT', () => {
  it('(a) finds a record for as long as it is announced again, and not longer', async () => {
    const { nodes } = stack.use(await startSwarm(3, () => ({ timing: { recordMs: 800 } })))
    const [a, b, c] = nodes
    if (a === undefined || b === undefined || c === undefined) throw new Error('no nodes')
    const announcing = directoryOf(a, 800)
    const { directory } = directoryOf(b)
    announcing.directory.announce(digest('kept'))
    announcing.directory.announce(digest('dropped'))
    await findsOnly(directory, digest('kept'), [a.self])
    await findsOnly(directory, digest('dropped'), [a.self])
    announcing.directory.withdraw(digest('dropped'))
    const startedAt = Date.now()
    await findsOnly(directory, digest('dropped'), [])
    expect(Date.now() - startedAt).toBeLessThan(3_000)
    // three lives of a record later
    await vi.waitUntil(() => announcing.counts.sent >= 7, { timeout: 10_000 })
    expect(await find(directory, digest('kept'))).toEqual([a.self])
    expect(await find(directoryOf(c).directory, digest('kept'))).toEqual([a.self])
  })

  it('(a) knows where a provider is for as long as its record is good', async () => {
    const { nodes } = stack.use(await startSwarm(2))
    const [a, b] = nodes
    if (a === undefined || b === undefined) throw new Error('no nodes')
    const announcing = directoryOf(a)
    announcing.directory.announce(digest('layer'))
    await vi.waitUntil(() => announcing.counts.sent > 0, { timeout: 5_000 })
    await announcing.directory.stop()

    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 0.95 * DAY })
    stack.defer(() => void vi.useRealTimers())
    // it can ask the holder of the record only, not the provider itself
    const timing = { askMs: 600_000, initialQuerySelfMs: 600_000 }
    const newcomer = stack.use(await startSwarmNode({ bootstrap: [bootstrapOf(b)], timing }))
    await connectedTo(newcomer, 1)
    const { directory } = directoryOf(newcomer)
    expect(await findsOnly(directory, digest('layer'), [a.self], 5_000)).toBe(true)
    expect((await newcomer.connect(a.self, { signal: AbortSignal.timeout(5_000) })).id).toBe(a.self)
  })

  it('(b) lets a fleet that starts at once behind one address announce and find', async () => {
    const first = stack.use(await startSwarmNode())
    const nodes = await Promise.all(
      Array.from({ length: 11 }, async () => stack.use(await startSwarmNode({ bootstrap: [bootstrapOf(first)] }))),
    )
    await Promise.all(nodes.map((node) => connectedTo(node, 1)))
    for (const [index, node] of nodes.entries()) directoryOf(node).directory.announce(digest(`layer ${index}`))
    const { directory } = directoryOf(first)
    for (const [index, node] of nodes.entries())
      expect(await findsOnly(directory, digest(`layer ${index}`), [node.self])).toBe(true)
  })

  it('(c) goes on when a provider is gone or knows nothing of it any more', async () => {
    const { nodes } = stack.use(await startSwarm(4))
    const [a, b, c] = nodes
    if (a === undefined || b === undefined || c === undefined) throw new Error('no nodes')
    for (const node of [a, b]) directoryOf(node).directory.announce(digest('layer'))
    const { directory } = directoryOf(c)
    await findsOnly(directory, digest('layer'), [a.self, b.self])
    await a.stop()
    await disconnectedFrom(c, a.self)
    await findsOnly(directory, digest('layer'), [a.self, b.self])
    const failure = await c.connect(a.self, { signal: AbortSignal.timeout(5_000) }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'PEER_UNAVAILABLE' })
    expect((await c.connect(b.self, { signal: AbortSignal.timeout(5_000) })).id).toBe(b.self)
  })

  it('(e) ends a search at once with nobody to ask', async () => {
    const alone = stack.use(await startSwarmNode())
    const { directory } = directoryOf(alone)
    const startedAt = performance.now()
    expect(await find(directory, digest('layer'))).toEqual([])
    expect(performance.now() - startedAt).toBeLessThan(200)
  })

  it('(e) is not slowed down by members that have left', async () => {
    const { nodes } = stack.use(await startSwarm(6))
    const [asking, ...others] = nodes
    if (asking === undefined) throw new Error('no node')
    await Promise.all(others.slice(2).map((node) => node.stop()))
    await Promise.all(others.slice(2).map(({ self }) => disconnectedFrom(asking, self)))
    const { directory } = directoryOf(asking)
    const startedAt = performance.now()
    expect(await find(directory, digest('layer'))).toEqual([])
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })
})

describe('a member that floods', () => {
  it('gets no more than its share of the records, and others are found', async () => {
    const { nodes } = stack.use(await startSwarm(3))
    const [flooder, honest, asking] = nodes
    if (flooder === undefined || honest === undefined || asking === undefined) throw new Error('no nodes')
    const announce = directoryOf(flooder)
    for (let i = 0; i < 300; i++) announce.directory.announce(digest(`flood ${i}`))
    directoryOf(honest).directory.announce(digest('layer'))
    await findsOnly(directoryOf(asking).directory, digest('layer'), [honest.self])
    // its own rate holds it back: 24 at once and 4 a second
    expect(asking.recordCount).toBeLessThan(100)
  })
})
