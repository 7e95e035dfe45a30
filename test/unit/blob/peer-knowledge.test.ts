import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { PeerKnowledge } from '../../../src/blob/peer-knowledge.ts'
import { FakePeers } from '../../fakes/fake-peers.ts'
import { silentLog } from '../../fakes/silent-log.ts'
import { blobDigest, codeOf, never, REPOSITORY } from './manifest-world.ts'

const DIGEST = blobDigest('one')

function setUp() {
  const swarm = new FakePeers()
  return { swarm, peers: new PeerKnowledge({ swarm, clock: Date.now, log: silentLog }) }
}

describe('PeerKnowledge', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('asks once for many callers and the moments after, and anew when that is over', async () => {
    const { swarm, peers } = setUp()
    swarm.blobs.add(DIGEST)
    const asked = Array.from({ length: 10 }, () => peers.hasBlob('named.test', DIGEST, never))
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 10 }, () => true))
    expect(await peers.hasBlob('named.test', DIGEST, never)).toBe(true)
    expect(swarm.asked).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(15_001)
    swarm.blobs.clear()
    expect(await peers.hasBlob('named.test', DIGEST, never)).toBe(false)
  })

  it.each(['isSilent', 'isBroken'] as const)('is done after two seconds with a swarm that %s', async (state) => {
    const { swarm, peers } = setUp()
    swarm[state] = true
    const asked = Promise.all([
      peers.tag(REPOSITORY, 'v1', never),
      peers.admittedAt(REPOSITORY, ['anonymous'], never),
      peers.isLinked(REPOSITORY, DIGEST, never),
      peers.hasBlob('named.test', DIGEST, never),
    ])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await asked).toEqual([undefined, undefined, false, false])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('goes on when a caller leaves, so that the next one finds the answer', async () => {
    const { swarm, peers } = setUp()
    const held = Promise.withResolvers<true>()
    swarm.hasBlob = async () => {
      swarm.asked.push('blob')
      return await held.promise
    }
    const leaving = new AbortController()
    const left = codeOf(peers.hasBlob('named.test', DIGEST, leaving))
    leaving.abort(new Error('left'))
    expect(await left).toBe('Error: left')
    held.resolve(true)
    await vi.advanceTimersByTimeAsync(0)
    expect(await peers.hasBlob('named.test', DIGEST, never)).toBe(true)
    expect(swarm.asked).toEqual(['blob'])
  })

  it('asks nobody when there is nobody, and does not remember that', async () => {
    const { swarm, peers } = setUp()
    swarm.hasPeers = false
    swarm.blobs.add(DIGEST)
    expect(await peers.hasBlob('named.test', DIGEST, never)).toBe(false)
    swarm.hasPeers = true
    expect(await peers.hasBlob('named.test', DIGEST, never)).toBe(true)
  })

  it('has a bounded number of questions under way', async () => {
    const { swarm, peers } = setUp()
    swarm.isSilent = true
    const asked = Promise.all(Array.from({ length: 1_000 }, (_, i) => peers.tag(REPOSITORY, `v${i}`, never)))
    await vi.advanceTimersByTimeAsync(2_000)
    await asked
    expect(swarm.asked).toHaveLength(256)
  })

  it('ends what is under way when it stops', async () => {
    const { swarm, peers } = setUp()
    swarm.isSilent = true
    const asked = peers.tag(REPOSITORY, 'v1', never)
    peers.stop()
    expect(await asked).toBeUndefined()
    expect(vi.getTimerCount()).toBe(0)
  })
})
