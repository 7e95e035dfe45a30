import { afterEach, describe, expect, it, vi } from 'vitest'
import type { LeaseAsk } from '../../../../src/blob/ports.ts'
import { nearestTo } from '../../../../src/swarm/discovery/nearest.ts'
import { chunksIn } from '../../../../src/swarm/leases/chunk-ranges.ts'
import { LEASE_LIMITS } from '../../../../src/swarm/leases/lease-limits.ts'
import { SWARM_PROTOCOL } from '../../../../src/swarm/protocol/swarm-protocol.ts'
import type { LeasedMessage, LeaseMessage } from '../../../../src/swarm/protocol/wire-messages.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'
import { type Joined, REGISTRY, SwarmWorld, type WorldAgent } from '../../../fakes/swarm-world.ts'

const blob = new TestBlob(Buffer.alloc(64 * 256 * 1024))

let world: SwarmWorld
afterEach(() => world.stop())

function start(count: number): WorldAgent[] {
  world = new SwarmWorld()
  const agents = world.connected(count)
  const order = nearestTo(
    blob.digest,
    agents.map(({ id }) => id),
    count,
  )
  return agents.toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id))
}

function askFor(given: Partial<LeaseAsk> = {}): LeaseAsk {
  return { size: blob.bytes.length, gaps: [{ from: 0, to: 64 }], fetching: [], most: 4, ...given }
}

function chunksOf({ leases }: Joined): number[] {
  return leases.flatMap(({ ranges }) => [...chunksIn(ranges)])
}

describe('leases between agents', () => {
  it('of one blob are given by the agent nearest to its digest, whoever asks, each chunk once', async () => {
    // one more than are granted a chunk before any has come
    const { startOut } = LEASE_LIMITS
    const agents = start(startOut + 1)
    const joined = agents.map((agent) => agent.join(blob))
    for (const { blob } of joined) blob.lease(askFor())
    await vi.waitFor(() => expect(joined.flatMap(chunksOf)).toHaveLength(startOut))
    expect(joined.flatMap(chunksOf).toSorted((a, b) => a - b)).toEqual([...chunksIn([{ from: 0, to: startOut }])])
    await vi.waitFor(() => expect(joined.every(({ leases }) => leases.length === 1)).toBe(true), { timeout: 2_000 })
    expect(joined.flatMap(chunksOf)).toHaveLength(startOut)
    expect(joined.some(({ leases }) => leases[0]?.members === agents.length)).toBe(true)
  })

  it('tell the coordinator what has come while an ask waits, so that others get their turn', async () => {
    const [, a, b] = start(3)
    const first = a?.join(blob)
    const second = b?.join(blob)
    first?.blob.lease(askFor({ gaps: [{ from: 0, to: 1 }] }))
    await vi.waitFor(() => expect(first && chunksOf(first)).toEqual([0]))
    for (const gaps of [[{ from: 1, to: 2 }], [{ from: 2, to: 3 }], [{ from: 3, to: 4 }]]) {
      const count = second?.leases.length ?? 0
      second?.blob.lease(askFor({ gaps, fetching: count === 0 ? [] : [{ from: 1, to: 1 + count }], most: 1 }))
      if (count > 0) break
      await vi.waitFor(() => expect(second?.leases).toHaveLength(count + 1))
    }
    // waits: before anything has come, one chunk each
    expect(second?.leases).toHaveLength(1)
    const started = performance.now()
    second?.blob.has([1])
    await vi.waitFor(() => expect(second?.leases).toHaveLength(2), { interval: 5 })
    expect(performance.now() - started).toBeLessThan(500)
    expect(second && chunksOf(second)).toEqual([1, 2])
  })

  it('come from the next one when a coordinator is silent, and from the agent itself after two', async () => {
    const [first, second, third, asker] = start(4)
    for (const agent of [first, second]) agent?.directory.stop()
    const joined = asker?.join(blob)
    const started = performance.now()
    joined?.blob.lease(askFor())
    await vi.waitFor(() => expect(joined?.leases).toHaveLength(1), { timeout: 5_000 })
    expect(performance.now() - started).toBeLessThan(3_500)
    const before = third?.members.incoming(asker?.id ?? '').length
    joined?.blob.lease(askFor({ fetching: [{ from: 0, to: 1 }], gaps: [{ from: 1, to: 64 }] }))
    await vi.waitFor(() => expect(joined?.leases).toHaveLength(2), { timeout: 1_400 })
    expect(third?.members.incoming(asker?.id ?? '').length).toBeGreaterThanOrEqual(before ?? 0)
  })

  it('are asked of the next one at once when the coordinator is gone', async () => {
    const [first, , asker] = start(3)
    // keeps the ask: it is never answered
    first?.directory.stop()
    const joined = asker?.join(blob)
    joined?.blob.lease(askFor())
    const started = performance.now()
    if (first !== undefined) await asker?.members.disconnect(first.id)
    await vi.waitFor(() => expect(joined?.leases).toHaveLength(1))
    expect(performance.now() - started).toBeLessThan(500)
  })

  it('are asked of a nearer member that the coordinator names, once it is connected', async () => {
    world = new SwarmWorld()
    const agents = Array.from({ length: 3 }, () => world.agent())
    const order = nearestTo(
      blob.digest,
      agents.map(({ id }) => id),
      3,
    )
    const [near, middle, asker] = agents.toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id))
    if (near === undefined || middle === undefined || asker === undefined) throw new Error('too few')
    middle.members.join(near.members)
    middle.members.join(asker.members)
    const joined = asker.join(blob)
    joined.blob.lease(askFor())
    await vi.waitFor(() => expect(joined.leases).toHaveLength(1))
    await vi.waitFor(() => expect(asker.members.connected.has(near.id)).toBe(true))
    const other = near.join(blob)
    joined.blob.lease(askFor({ gaps: [{ from: 1, to: 64 }], fetching: [{ from: 0, to: 1 }], most: 0 }))
    await vi.waitFor(() => expect(joined.leases).toHaveLength(2))
    other.blob.lease(askFor())
    await vi.waitFor(() => expect(other.leases).toHaveLength(1))
    // chunk 0 is fetched by the asker, as the new coordinator learnt from it
    expect(chunksOf(other)).not.toContain(0)
  })

  it('do not follow names that are no nearer, or cannot be reached, for ever', async () => {
    const [first, asker] = start(2)
    if (first === undefined || asker === undefined) throw new Error('too few')
    // says only what the test does
    first.members.handlers.set(SWARM_PROTOCOL, () => {})
    const joined = asker.join(blob)
    const stream = await first.rawStream(asker)
    const connects = asker.members.connects
    for (let serial = 1; serial <= 30; serial++) {
      joined.blob.lease(askFor())
      const names = Array.from({ length: 1_000 }, (_, index) => `made up ${serial} ${index}`)
      const answer: LeasedMessage = {
        type: 'leased',
        digest: blob.digest,
        registry: REGISTRY,
        ranges: [],
        forMs: 0,
        members: 1,
        serial,
        nearer: nearestTo(blob.digest, names, 3),
      }
      stream.send(answer)
      await vi.waitFor(() => expect(joined.leases).toHaveLength(serial), { interval: 2 })
    }
    expect(asker.members.connects - connects).toBeGreaterThan(0)
    expect(asker.members.connects - connects).toBeLessThanOrEqual(8)
  })

  it('are given back by an agent that leaves', async () => {
    const [first, a, b] = start(3)
    const joined = a?.join(blob)
    joined?.blob.lease(askFor({ gaps: [{ from: 7, to: 8 }] }))
    await vi.waitFor(() => expect(joined?.leases).toHaveLength(1))
    joined?.blob.leave()
    const other = b?.join(blob)
    other?.blob.lease(askFor({ gaps: [{ from: 7, to: 8 }] }))
    await vi.waitFor(() => expect(other && chunksOf(other)).toEqual([7]))
    expect(first?.ledger.bans()).toEqual([])
  })

  it('that nobody asked for change nothing', async () => {
    const [first, asker, stranger] = start(3)
    if (first === undefined || asker === undefined || stranger === undefined) throw new Error('too few')
    const joined = asker.join(blob)
    joined.blob.lease(askFor())
    await vi.waitFor(() => expect(joined.leases).toHaveLength(1))
    const stream = await stranger.rawStream(asker)
    const ranges = [{ from: 10, to: 20 }]
    const key = { digest: blob.digest, registry: REGISTRY }
    stream.send({ type: 'leased', ...key, ranges, forMs: 1, members: 9, serial: 1, nearer: [] })
    const marker = asker.join(new TestBlob(Buffer.from('marker')))
    stream.send({ type: 'want', digest: blob.digest, registry: REGISTRY })
    await vi.waitFor(() => expect(asker.directory.wants).toBeGreaterThan(0))
    expect(joined.leases).toHaveLength(1)
    marker.blob.leave()
  })

  it('for more blobs than an agent keeps in mind push out those of the one that asks, and of nobody else', async () => {
    const [first, honest, flood] = start(3)
    if (first === undefined || honest === undefined || flood === undefined) throw new Error('too few')
    const joined = honest.join(blob)
    joined.blob.lease(askFor({ gaps: [{ from: 3, to: 4 }] }))
    await vi.waitFor(() => expect(joined.leases).toHaveLength(1))
    const stream = await flood.rawStream(first)
    for (let turn = 0; turn < 1_500; turn++) {
      const ask: LeaseMessage = {
        type: 'lease',
        digest: blob.digest,
        registry: `r${turn}`,
        ...askFor(),
        heard: 0,
        leaves: false,
      }
      stream.send(ask)
    }
    stream.send({ type: 'want', digest: blob.digest, registry: 'the end' })
    await vi.waitFor(() => expect(first.directory.wants).toBeGreaterThan(0))
    const other = first.join(blob)
    other.blob.lease(askFor({ gaps: [{ from: 3, to: 5 }] }))
    await vi.waitFor(() => expect(chunksOf(other)).toEqual([4]))
  })
})
