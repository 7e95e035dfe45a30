import { describe, expect, it, vi } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import { ChunkStates } from '../../../src/blob/chunk-states.ts'
import { ChunkTrust } from '../../../src/blob/chunk-trust.ts'
import { ClaimBook } from '../../../src/blob/claim-book.ts'
import type { PartialBlob } from '../../../src/blob/ports.ts'
import { ReadGate } from '../../../src/blob/read-gate.ts'
import { digestOfBytes, FakePeer, statementOf } from '../../fakes/fake-swarm.ts'
import { readAll, TransferWorld } from '../../fakes/transfer-world.ts'
import { randomBytesOf } from '../../fixtures/random-bytes.ts'

const CHUNK = 256 * 1024
const BYTES = randomBytesOf('head', 4 * CHUNK)
const { signal } = new AbortController()

/** A gate of a blob of which nothing may be read, and a disk that a test holds up. */
function gateOf(disk: { waits: Promise<void> }) {
  const plan = planChunks(BYTES.length)
  const chunks = new ChunkStates(plan.count)
  const book = new ClaimBook({ plan, onlyHash: undefined })
  const read = async (target: Buffer, position: number): Promise<number> => {
    await disk.waits
    return BYTES.copy(target, 0, position)
  }
  return new ReadGate(
    {
      partial: { plan, read } as unknown as PartialBlob,
      chunks,
      trust: new ChunkTrust({ chunks, book, hashOf: () => undefined }),
      runs: { schedule: () => {} },
      onItsWay: {
        isOnItsWay: () => false,
        readableWithin: () => undefined,
        bytesBeingWritten: () => undefined,
      },
      clock: Date.now,
    },
    { holdBackMs: 10_000 },
  )
}

describe('the first bytes that readers are given as the origin sends them', () => {
  it('are no longer given once they are being checked', async () => {
    const held = Promise.withResolvers<void>()
    const gate = gateOf({ waits: held.promise })
    const reader = gate.open()
    gate.addHead(BYTES.subarray(0, 10))
    const target = Buffer.alloc(10)
    expect(await reader.read(target, 0, { signal })).toBe(10)
    const checking = gate.checkHead()
    gate.addHead(Buffer.alloc(10, 1))
    const rest = readAll({ ...reader, digest: digestOfBytes(BYTES), size: BYTES.length, close: async () => {} }, 10)
    held.resolve()
    await checking
    gate.openAll()
    expect(await rest).toEqual({ seen: BYTES.subarray(10), error: undefined })
  })

  it('cut the body of who was given others than the blob has, and of nobody else', async () => {
    const gate = gateOf({ waits: Promise.resolve() })
    const [first, second] = [gate.open(), gate.open()]
    gate.addHead(Buffer.alloc(10, 1))
    await first.read(Buffer.alloc(10), 0, { signal })
    await gate.checkHead()
    gate.openAll()
    await expect(first.read(Buffer.alloc(10), 10, { signal })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    const target = Buffer.alloc(10)
    await second.read(target, 0, { signal })
    expect(target).toEqual(BYTES.subarray(0, 10))
  })

  it('are not waited for any more when peers have brought the blob', async () => {
    const world = new TransferWorld(BYTES)
    let open = 0
    world.origin.open = async (range, options) => {
      world.origin.requests.push(range)
      return { totalSize: BYTES.length, bytes: silent(options.signal) }
    }
    // oxlint-disable-next-line require-yield
    async function* silent(stop: AbortSignal): AsyncGenerator<Uint8Array> {
      open += 1
      const { promise, resolve } = Promise.withResolvers<void>()
      stop.addEventListener('abort', () => resolve(), { once: true })
      await promise
      open -= 1
    }
    world.swarm.grants = () => ({ ranges: [], forMs: 5_000, members: 3 })
    const transfer = world.transfer()
    await transfer.begin(world.origin, world.beginning({ statedSize: BYTES.length }))
    for (const id of ['a', 'b']) world.swarm.add(new FakePeer(id, BYTES), statementOf(id, world.digest, BYTES))
    const reader = transfer.openReader()
    expect((await readAll(reader)).seen.equals(BYTES)).toBe(true)
    await reader.close()
    expect(await transfer.ended).toBe('complete')
    await vi.waitFor(() => expect(open).toBe(0))
  })

  it('come soon where one peer alone vouches for what it brings', async () => {
    const world = new TransferWorld(BYTES)
    world.swarm.grants = () => ({ ranges: [], forMs: 5_000, members: 2 })
    world.swarm.add(new FakePeer('a', BYTES), statementOf('a', world.digest, BYTES))
    const transfer = world.transfer({ headStartMs: 60_000 })
    const begun = await transfer.begin(world.origin, world.beginning({ statedSize: BYTES.length }))
    expect(begun.by).toBe('peers')
    const reader = transfer.openReader()
    const target = Buffer.alloc(CHUNK)
    const count = await reader.read(target, 0, { signal })
    expect(count).toBeGreaterThan(0)
    expect(count).toBeLessThanOrEqual(16 * 1024)
    expect(target.subarray(0, count)).toEqual(BYTES.subarray(0, count))
    expect((await readAll(reader, count)).seen.equals(BYTES.subarray(count))).toBe(true)
    await reader.close()
    expect(await transfer.ended).toBe('complete')
  })
})
