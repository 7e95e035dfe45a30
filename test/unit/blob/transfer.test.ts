import { describe, expect, it, vi } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { chunkHashesOf, FakePeer, falsified, statementOf } from '../../fakes/fake-swarm.ts'
import { readAll, TransferWorld } from '../../fakes/transfer-world.ts'
import { randomBytesOf } from '../../fixtures/random-bytes.ts'

const CHUNK = 256 * 1024
const BLOB = randomBytesOf('transfer', 20 * CHUNK + 1234)
const SMALL = randomBytesOf('small transfer', 1000)
const OUT = new ShoalError('ORIGIN_UNAVAILABLE', 'out')
const SLOW_ORIGIN = { firstByteMs: 20, pieceMs: 4 }

/** Two peers that have all of it and sign the same map. */
function withHonestPeers(world: TransferWorld, ...ids: string[]): FakePeer[] {
  return ids.map((id) => {
    const peer = new FakePeer(id, world.bytes)
    world.swarm.add(peer, statementOf(id, world.digest, world.bytes))
    return peer
  })
}

describe('a transfer with peers that agree', () => {
  it('gets everything from them and nothing from the origin', async () => {
    const world = new TransferWorld(BLOB, { origin: { firstByteMs: 200 } })
    const peers = withHonestPeers(world, 'a', 'b')
    const { seen, error, outcome } = await world.pull()
    expect({ error, outcome }).toEqual({ error: undefined, outcome: 'complete' })
    expect(seen.equals(BLOB)).toBe(true)
    expect(world.received).toEqual({ origin: 0, peer: BLOB.length })
    expect(world.wasted).toEqual({ origin: 0, peer: 0 })
    for (const peer of peers) expect(peer.sent).toBeGreaterThan(0)
    for (const peer of peers) expect(peer.mostBusy).toBeLessThanOrEqual(2)
  })

  it('asks for what a reader comes to first while it is admitted, wherever else it begins', async () => {
    const world = new TransferWorld(BLOB, { origin: { firstByteMs: 200 } })
    const starts: number[] = []
    for (const peer of withHonestPeers(world, 'a', 'b')) {
      const open = peer.open.bind(peer)
      peer.open = (range, options) => {
        starts.push(range.start)
        return open(range, options)
      }
    }
    const transfer = world.transfer({ offset: 0.5 })
    await transfer.begin(world.origin, world.beginning())
    expect(starts[0]).toBe(0)
    await transfer.stop()
  })

  it('tells the swarm what is here, and what the chunks are in the end', async () => {
    const world = new TransferWorld(BLOB)
    withHonestPeers(world, 'a', 'b')
    await world.pull()
    const { told, claims, settled, hasLeft } = world.swarm.last
    expect(told.toSorted((a, b) => a - b)).toEqual(chunkHashesOf(BLOB).map((_, index) => index))
    expect(claims).toEqual([])
    expect(settled?.hashes).toEqual(chunkHashesOf(BLOB))
    expect(settled?.statements.map(({ signer }) => signer)).toEqual(['a', 'b'])
    expect(hasLeft).toBe(true)
    expect(world.swarm.announced).toEqual([world.digest])
  })

  it('claims what came from the origin, many chunks together', async () => {
    const world = new TransferWorld(BLOB)
    await world.pull()
    const { claims } = world.swarm.last
    expect(new Map(claims.flatMap((claim) => [...claim]))).toEqual(new Map(chunkHashesOf(BLOB).entries()))
    expect(claims.length).toBeLessThan(chunkHashesOf(BLOB).length)
  })

  it('goes on with the origin when they all vanish', async () => {
    const world = new TransferWorld(BLOB)
    for (const peer of withHonestPeers(world, 'a', 'b')) peer.faults.goneAfter = 3 * CHUNK
    const { seen, error } = await world.pull()
    expect(error).toBeUndefined()
    expect(seen.equals(BLOB)).toBe(true)
    expect(world.received.origin).toBeGreaterThan(0)
  })

  it('goes on with them when the origin vanishes', async () => {
    const world = new TransferWorld(BLOB, { origin: { goneAfter: 6 * CHUNK, pieceMs: 10 } })
    const pulling = world.pull()
    await expect.poll(() => world.received.origin).toBeGreaterThan(0)
    withHonestPeers(world, 'a', 'b')
    const { seen, error } = await pulling
    expect(error).toBeUndefined()
    expect(seen.equals(BLOB)).toBe(true)
  })

  it('does without the origin from the beginning', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    withHonestPeers(world, 'a')
    const { seen, error } = await world.pull()
    expect(error).toBeUndefined()
    expect(seen.equals(BLOB)).toBe(true)
  })

  it('waits for the word of peers where this agent is late itself', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const transfer = world.transfer({ lateMs: 500 })
    const asked = vi.spyOn(world.origin, 'open')
    const beginning = transfer.begin(world.origin, world.beginning())
    await vi.waitFor(() => expect(asked).toHaveBeenCalled())
    await expect(asked.mock.results[0]?.value).rejects.toBe(OUT)
    withHonestPeers(world, 'a', 'b')
    await beginning
    expect((await readAll(transfer.openReader())).seen.equals(BLOB)).toBe(true)
  })

  it('says what the origin said when nobody has the blob', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const { error, outcome } = await world.pull()
    expect({ error, outcome }).toEqual({ error: OUT, outcome: 'failed' })
  })

  it('fails when those who are left lack a chunk for good', { timeout: 15_000 }, async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const peer = new FakePeer('a', BLOB, { chunks: [0, 1, 2, 3] })
    world.swarm.add(peer, statementOf('a', world.digest, BLOB), statementOf('b', world.digest, BLOB))
    const { error, seen } = await world.pull()
    expect(error).toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
    expect(seen.equals(BLOB.subarray(0, 4 * CHUNK))).toBe(true)
  })

  it('gets from a peer what it gains while it fetches itself', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const peer = new FakePeer('a', BLOB, { chunks: [0, 1] })
    world.swarm.add(peer, statementOf('a', world.digest, BLOB), statementOf('b', world.digest, BLOB))
    const pulling = world.pull()
    await expect.poll(() => peer.sent).toBe(2 * CHUNK)
    peer.chunks = undefined
    world.swarm.last.events.gained(peer)
    expect((await pulling).seen.equals(BLOB)).toBe(true)
  })

  it('leaves a peer that stalls, deaf or not, and blames it', async () => {
    for (const isDeaf of [false, true]) {
      const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
      const [bad] = withHonestPeers(world, 'a', 'b')
      if (bad !== undefined) Object.assign(bad.faults, { stallAfter: 100, isDeaf })
      const { seen, error } = await world.pull()
      expect(error).toBeUndefined()
      expect(seen.equals(BLOB)).toBe(true)
      expect(world.wasted.peer).toBeLessThanOrEqual(2 * CHUNK)
    }
  })

  it('leaves a peer that drips, however steadily, once others were faster a few times', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const [slow] = withHonestPeers(world, 'a', 'b')
    if (slow !== undefined) slow.faults.pieceMs = 1_500
    const { seen } = await world.pull()
    expect(seen.equals(BLOB)).toBe(true)
    expect(world.duplicated.peer).toBeGreaterThan(0)
    expect(world.wasted.peer).toBeLessThanOrEqual(4 * CHUNK)
  })

  it('asks a peer that is busy again, and does not hold it against it', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const [busy] = withHonestPeers(world, 'a')
    if (busy !== undefined) busy.faults.refusal = new ShoalError('PEER_BUSY', 'busy')
    const pulling = world.pull()
    await expect.poll(() => busy?.requests.length, { timeout: 5_000 }).toBeGreaterThan(3)
    if (busy !== undefined) busy.faults.refusal = undefined
    expect((await pulling).seen.equals(BLOB)).toBe(true)
    expect(busy?.faultsFound).toEqual([])
  })

  it('takes no peer that states another size than the blob has', async () => {
    const world = new TransferWorld(BLOB)
    const liar = new FakePeer('liar', BLOB.subarray(0, 10 * CHUNK))
    world.swarm.add(liar, statementOf('liar', world.digest, liar.bytes))
    const { seen } = await world.pull()
    expect(seen.equals(BLOB)).toBe(true)
    expect(liar.requests).toEqual([])
  })
})

describe('wrong bytes from a peer', () => {
  it('are thrown away, the peer is blamed and left, and the chunk comes from elsewhere', async () => {
    const world = new TransferWorld(BLOB, { origin: { firstByteMs: 500 } })
    const [bad] = withHonestPeers(world, 'a', 'b')
    for (let at = 0; at < BLOB.length; at += CHUNK) bad?.faults.flip.add(at)
    const { seen, error } = await world.pull()
    expect(error).toBeUndefined()
    expect(seen.equals(BLOB)).toBe(true)
    expect(bad?.faultsFound).toContain('wrong-bytes')
    expect(world.wasted.peer).toBeLessThanOrEqual(2 * CHUNK)
    expect(bad?.requests.length).toBeLessThanOrEqual(2)
  })

  it('of a blob of one chunk are found out without any statement', async () => {
    const world = new TransferWorld(SMALL, { origin: { refusal: OUT } })
    const liar = new FakePeer('liar', falsified(SMALL, [0]))
    const honest = new FakePeer('honest', SMALL, { faults: { firstByteMs: 30 } })
    world.swarm.add(liar)
    world.swarm.add(honest)
    const { seen, error } = await world.pull()
    expect(error).toBeUndefined()
    expect(seen.equals(SMALL)).toBe(true)
    expect(liar.faultsFound).toEqual(['wrong-bytes'])
    expect(honest.faultsFound).toEqual([])
  })

  it('that never end are cut off at what was asked for', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    for (const peer of withHonestPeers(world, 'a', 'b')) peer.faults.isEndless = true
    const { seen } = await world.pull()
    expect(seen.equals(BLOB)).toBe(true)
  })

  it('of a blob of one chunk and without an end are no way in either', async () => {
    const world = new TransferWorld(SMALL)
    world.swarm.add(new FakePeer('endless', SMALL.subarray(0, 10), { faults: { isEndless: true } }))
    const { seen } = await world.pull()
    expect(seen.equals(SMALL)).toBe(true)
  })
})

describe('the word of one agent', () => {
  it('is not enough for readers: the origin serves them meanwhile, the peer brings the rest', async () => {
    const world = new TransferWorld(BLOB, { origin: SLOW_ORIGIN })
    withHonestPeers(world, 'a')
    const { seen, error } = await world.pull()
    expect(error).toBeUndefined()
    expect(seen.equals(BLOB)).toBe(true)
    expect(world.received.peer).toBeGreaterThan(BLOB.length / 4)
  })

  it('keeps no reader from a faster origin, however steadily the peer brings it', async () => {
    const blob = Buffer.concat([BLOB, BLOB, BLOB, BLOB])
    const world = new TransferWorld(blob, { origin: { pieceMs: 1 } })
    const slow = new FakePeer('slow', blob, { faults: { pieceMs: 100 } })
    world.swarm.add(slow, statementOf('slow', world.digest, blob))
    const begun = performance.now()
    const { seen, error } = await world.pull()
    expect([error, seen.equals(blob)]).toEqual([undefined, true])
    const aloneMs = ((blob.length / (64 * 1024)) * 100) / 2
    expect(performance.now() - begun).toBeLessThan(aloneMs / 2)
  })

  it('is enough after a while when the origin is out, but not for the last chunk', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const peer = new FakePeer('a', BLOB, { chunks: [0, 1, 2] })
    world.swarm.add(peer, statementOf('a', world.digest, BLOB))
    const transfer = world.transfer({ holdBackMs: 300 })
    await transfer.begin(world.origin, world.beginning())
    const reader = transfer.openReader()
    const begun = performance.now()
    const target = Buffer.alloc(3 * CHUNK)
    const count = await reader.read(target, 0, { signal: new AbortController().signal })
    expect(performance.now() - begun).toBeGreaterThan(250)
    expect(target.subarray(0, count).equals(BLOB.subarray(0, count))).toBe(true)
    await reader.close()
    await transfer.stop()
  })

  it('that the origin contradicts costs no more than two chunks', async () => {
    const world = new TransferWorld(BLOB, { origin: SLOW_ORIGIN })
    const lie = falsified(
      BLOB,
      Array.from({ length: 21 }, (_, index) => index),
    )
    const liar = new FakePeer('liar', lie)
    world.swarm.add(liar, statementOf('liar', world.digest, lie))
    const { seen, error } = await world.pull()
    expect(error).toBeUndefined()
    expect(seen.equals(BLOB)).toBe(true)
    expect(liar.sent).toBeLessThanOrEqual(3 * CHUNK)
    expect(world.swarm.last.settled?.statements.map(({ signer }) => signer)).toEqual(['liar'])
  })

  it('never puts a wrong byte into a body, whatever it says about a single chunk', async () => {
    for (const wrong of [0, 7, 20]) {
      const world = new TransferWorld(BLOB, { origin: SLOW_ORIGIN })
      const lie = falsified(BLOB, [wrong])
      world.swarm.add(new FakePeer('liar', lie), statementOf('liar', world.digest, lie))
      const { seen, error } = await world.pull()
      expect(error).toBeUndefined()
      expect(seen.equals(BLOB)).toBe(true)
    }
  })

  it('against that of another is settled without the origin, and the right one is read', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const lie = falsified(BLOB, [3, 11])
    world.swarm.add(new FakePeer('liar', lie), statementOf('liar', world.digest, lie))
    withHonestPeers(world, 'honest')
    const { seen, error } = await world.pull()
    expect(error).toBeUndefined()
    expect(seen.equals(BLOB)).toBe(true)
    expect(world.swarm.last.settled?.statements).toHaveLength(2)
  })

  it('that was read and turned out wrong cuts the body, and the blob is right for the next one', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const lie = falsified(BLOB, [1])
    const liar = new FakePeer('liar', lie, { chunks: [0, 1, 2, 3] })
    world.swarm.add(liar, statementOf('liar', world.digest, lie))
    const transfer = world.transfer({ holdBackMs: 50 })
    await transfer.begin(world.origin, world.beginning())
    const reader = transfer.openReader()
    const reading = readAll(reader)
    await expect.poll(() => transfer.progress.verified).toBe(4)
    const target = Buffer.alloc(10)
    await reader.read(target, CHUNK, { signal: new AbortController().signal })
    expect(target.equals(BLOB.subarray(CHUNK, CHUNK + 10))).toBe(false)
    withHonestPeers(world, 'honest')
    expect((await reading).error).toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(await transfer.ended).toBe('complete')
    await reader.close()
    expect((await readAll(await world.store.open(world.digest))).seen.equals(BLOB)).toBe(true)
  })
})

describe('an origin without ranges', () => {
  it('is not asked again and again for what peers lack', async () => {
    const world = new TransferWorld(BLOB, { origin: { ignoresRange: true } })
    const even = chunkHashesOf(BLOB).flatMap((_, index) => (index % 2 === 0 ? [index] : []))
    for (const id of ['a', 'b']) {
      const peer = new FakePeer(id, BLOB, { chunks: even })
      world.swarm.add(peer, statementOf(id, world.digest, BLOB, { only: even }))
    }
    const { seen, error } = await world.pull()
    expect([error, seen.equals(BLOB)]).toEqual([undefined, true])
    expect(world.origin.sent).toBeLessThan(5 * BLOB.length)
  })

  it('leaves to peers what they have all of', async () => {
    const world = new TransferWorld(BLOB, { origin: { ignoresRange: true } })
    withHonestPeers(world, 'a', 'b')
    const { seen, error } = await world.pull({ headStartMs: 0 })
    expect([error, seen.equals(BLOB)]).toEqual([undefined, true])
    expect(world.origin.sent).toBeLessThan(BLOB.length / 4)
  })
})

describe('an origin that is wrong', () => {
  it('is found out by peers that agree, when nobody has read its bytes', async () => {
    const originBytes = falsified(BLOB, [2])
    const world = new TransferWorld(BLOB, { originBytes })
    const transfer = world.transfer()
    await transfer.begin(world.origin, world.beginning())
    withHonestPeers(world, 'a', 'b')
    expect(await transfer.ended).toBe('complete')
    expect((await readAll(await world.store.open(world.digest))).seen.equals(BLOB)).toBe(true)
  })

  it('alone is a mismatch as ever', async () => {
    const world = new TransferWorld(BLOB, { originBytes: falsified(BLOB, [2]) })
    const { error, outcome, seen } = await world.pull()
    expect(error).toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(outcome).toBe('mismatched')
    expect(seen.length).toBeLessThanOrEqual(20 * CHUNK)
    expect(world.ends).toMatchObject([{ usedPeers: false }])
  })
})

describe('a partial blob on the word of one peer', () => {
  it('is not read after a restart before somebody else says the same', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const peer = new FakePeer('a', BLOB, { chunks: [0, 1, 2, 3] })
    world.swarm.add(peer, statementOf('a', world.digest, BLOB))
    const first = world.transfer()
    await first.begin(world.origin, world.beginning())
    await expect.poll(() => first.progress.verified).toBe(4)
    await first.stop()
    world.swarm.peers.length = 0
    world.swarm.statements.length = 0

    const second = world.transfer()
    world.origin.faults.refusal = undefined
    Object.assign(world.origin.faults, { stallAfter: 0 })
    await second.begin(world.origin, world.beginning())
    const reader = second.openReader()
    const reading = readAll(reader)
    await expect.poll(() => second.progress.verified).toBe(4)
    await expect.poll(() => world.origin.busy).toBeGreaterThan(0)
    let isRead = false
    void reader.read(Buffer.alloc(1), 0, { signal: new AbortController().signal }).then(() => {
      isRead = true
    })
    withHonestPeers(world, 'a')
    // The origin is given a moment to confirm what the one peer says.
    await expect.poll(() => second.progress.verified, { timeout: 5_000 }).toBeGreaterThan(4)
    expect(isRead).toBe(false)
    withHonestPeers(world, 'b')
    expect((await reading).seen.equals(BLOB)).toBe(true)
    await reader.close()
  })
})

describe('what a transfer gives to peers', () => {
  it('is every verified chunk, also on one agent’s word, and nothing else', async () => {
    const world = new TransferWorld(BLOB, { origin: { refusal: OUT } })
    const peer = new FakePeer('a', BLOB, { chunks: [4, 5, 9] })
    world.swarm.add(peer, statementOf('a', world.digest, BLOB))
    const transfer = world.transfer()
    expect(transfer.shared()).toBeUndefined()
    await transfer.begin(world.origin, world.beginning())
    await expect.poll(() => transfer.progress.verified).toBe(3)
    const shared = transfer.shared()
    expect(shared).toMatchObject({ digest: world.digest, size: BLOB.length, isComplete: false })
    expect(shared?.statements.map(({ signer }) => signer)).toEqual(['a'])
    expect([...Array(21).keys()].filter((index) => shared?.has(index))).toEqual([4, 5, 9])
    expect([-1, 21, 0.5].some((index) => shared?.has(index))).toBe(false)
    const reader = transfer.openShared()
    const target = Buffer.alloc(3 * CHUNK)
    const { signal } = new AbortController()
    const count = await reader.read(target, 4 * CHUNK + 10, { signal })
    expect(target.subarray(0, count).equals(BLOB.subarray(4 * CHUNK + 10, 6 * CHUNK))).toBe(true)
    await expect(reader.read(target, 0, { signal })).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    await reader.close()
    await transfer.stop()
    expect(transfer.shared()).toBeUndefined()
    expect(() => transfer.openShared()).toThrow('over')
  })
})

describe('a disk that fills up while the origin sends', () => {
  it('ends the transfer with what the disk said', async () => {
    const world = new TransferWorld(BLOB, { origin: { pieceMs: 2 } })
    const opened = vi.spyOn(world.store, 'openPartial')
    const transfer = world.transfer()
    await transfer.begin(world.origin, world.beginning())
    const partial = await opened.mock.results[0]?.value
    const reader = transfer.openReader()
    const { signal } = new AbortController()
    expect(await reader.read(Buffer.alloc(CHUNK), 0, { signal })).toBeGreaterThan(0)
    if (partial !== undefined) partial.failure = new ShoalError('STORE_FULL', 'no room')
    expect((await readAll(reader)).error).toMatchObject({ code: 'STORE_FULL' })
    await reader.close()
    expect(await transfer.ended).toBe('failed')
  })
})
