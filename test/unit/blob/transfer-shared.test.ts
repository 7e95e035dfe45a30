/** A transfer that shares the origin with other agents. */
import { describe, expect, it } from 'vitest'
import type { Lease, LeaseAsk } from '../../../src/blob/ports.ts'
import type { Transfer } from '../../../src/blob/transfer.ts'
import { chunkHashesOf, FakePeer, statementOf } from '../../fakes/fake-swarm.ts'
import { readAll, TransferWorld } from '../../fakes/transfer-world.ts'
import { randomBytesOf } from '../../fixtures/random-bytes.ts'

const CHUNK = 256 * 1024
const BLOB = randomBytesOf('shared transfer', 20 * CHUNK + 1234)
const HEAD = 16 * 1024
const MANY = 8

/** Of what is asked for, only these chunks. */
function grantOnly(chunks: readonly number[]): (ask: LeaseAsk) => Lease {
  return ({ gaps }) => ({
    ranges: chunks
      .filter((chunk) => gaps.some(({ from, to }) => from <= chunk && chunk < to))
      .map((chunk) => ({ from: chunk, to: chunk + 1 })),
    forMs: 60_000,
    members: MANY,
  })
}

/** Begins with the size known, as from a manifest. */
async function begin(world: TransferWorld, grants: (ask: LeaseAsk) => Lease): Promise<Transfer> {
  world.swarm.grants = grants
  const transfer = world.transfer()
  await transfer.begin(world.origin, world.beginning({ statedSize: BLOB.length }))
  return transfer
}

function origin(world: TransferWorld): number {
  return world.received.origin
}

describe('a transfer that shares the origin', () => {
  it('gives its reader the first bytes of the origin at once, and fetches no chunk without leave', async () => {
    const world = new TransferWorld(BLOB)
    const transfer = await begin(world, grantOnly([]))
    const reader = transfer.openReader()
    const target = Buffer.alloc(100_000)
    const { signal } = new AbortController()
    let read = 0
    while (read < HEAD) read += await reader.read(target.subarray(read), read, { signal })
    expect(read).toBe(HEAD)
    expect(target.subarray(0, HEAD).equals(BLOB.subarray(0, HEAD))).toBe(true)
    expect(world.origin.requests).toEqual([{ start: 0, end: HEAD }])
    await transfer.stop()
  })

  it('fetches what it has leave for, and gets the rest from those that fetched it', async () => {
    const world = new TransferWorld(BLOB)
    const mine = [3, 4, 11]
    const transfer = await begin(world, grantOnly(mine))
    const reading = readAll(transfer.openReader())
    const theirs = chunkHashesOf(BLOB).flatMap((_, index) => (mine.includes(index) ? [] : [index]))
    for (const [at, id] of ['a', 'b'].entries()) {
      const only = theirs.filter((index) => index % 2 === at)
      world.swarm.add(new FakePeer(id, BLOB, { chunks: only }), statementOf(id, world.digest, BLOB, { only }))
    }
    const { seen, error } = await reading
    expect([error, seen.equals(BLOB)]).toEqual([undefined, true])
    expect(origin(world)).toBe(HEAD + mine.length * CHUNK)
    expect(world.wasted).toEqual({ origin: 0, peer: 0 })
  })

  it('says what it has got of what it was given leave for', async () => {
    const world = new TransferWorld(BLOB)
    const transfer = await begin(world, ({ gaps }) => ({ ranges: gaps.slice(0, 1), forMs: 60_000, members: MANY }))
    await transfer.ended
    expect(world.swarm.last.asks.at(-1)).toMatchObject({ size: BLOB.length, gaps: [], most: 0 })
  })

  it('is cut before its end where the first bytes were not those of the blob, and the blob is stored right', async () => {
    const world = new TransferWorld(BLOB)
    world.origin.faults.flip.add(7)
    const transfer = await begin(world, grantOnly([]))
    const reading = readAll(transfer.openReader())
    for (const id of ['a', 'b']) world.swarm.add(new FakePeer(id, BLOB), statementOf(id, world.digest, BLOB))
    const { seen, error } = await reading
    expect(error).toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(seen.length).toBeLessThanOrEqual(20 * CHUNK)
    expect(await transfer.ended).toBe('complete')
    expect((await readAll(await world.store.open(world.digest))).seen.equals(BLOB)).toBe(true)
  })

  it('goes to the origin by itself when it is given leave for nothing and nothing comes', {
    timeout: 60_000,
  }, async () => {
    const small = randomBytesOf('refused leave', 2 * CHUNK + 5)
    const world = new TransferWorld(small)
    world.swarm.grants = grantOnly([])
    const transfer = world.transfer()
    await transfer.begin(world.origin, world.beginning({ statedSize: small.length }))
    const { seen, error } = await readAll(transfer.openReader())
    expect([error, seen.equals(small)]).toEqual([undefined, true])
  })

  it('believes a member with no more than two chunks while this agent has fetched none itself', async () => {
    const world = new TransferWorld(BLOB)
    const transfer = await begin(world, () => ({ ranges: [], forMs: 10, members: 7 }))
    const only = chunkHashesOf(BLOB).map((_, index) => index)
    const liar = new FakePeer('liar', BLOB)
    world.swarm.add(liar, statementOf('liar', world.digest, BLOB, { only }))
    const reader = transfer.openReader()
    void reader.read(Buffer.alloc(CHUNK), HEAD, { signal: new AbortController().signal }).catch(() => undefined)
    await expect.poll(() => transfer.progress.verified).toBeGreaterThanOrEqual(2)
    await expect.poll(() => liar.busy).toBe(0)
    expect(transfer.progress.verified).toBeLessThanOrEqual(4)
    await transfer.stop()
  })
})
