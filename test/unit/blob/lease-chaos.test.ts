import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Lease, LeaseAsk } from '../../../src/blob/ports.ts'
import { ShoalError } from '../../../src/errors.ts'
import type { Faults } from '../../fakes/fake-source.ts'
import { FakePeer, falsified, statementOf } from '../../fakes/fake-swarm.ts'
import { readAll, TransferWorld } from '../../fakes/transfer-world.ts'
import { randomBytesOf } from '../../fixtures/random-bytes.ts'
import { SeededRandom } from '../../fixtures/seeded-random.ts'

const CHUNK = 256 * 1024
/** SHOAL_TEST_SEEDS=200 SHOAL_TEST_SEED=1000 tries more and others. */
const SEEDS = Number(process.env['SHOAL_TEST_SEEDS'] ?? 24)
const ENDS_MS = 30_000

const COORDINATORS = ['all', 'one by one', 'nothing', 'is silent', 'stops', 'nonsense', 'too short'] as const
const PEERS = ['nobody', 'honest', 'half', 'false', 'stalls', 'waits', 'grows', 'vanishes'] as const
const ORIGINS = ['good', 'good', 'slow', 'two at a time', 'without ranges', 'hangs in the first'] as const
const TURNS = ['none', 'none', 'alone', 'together', 'resumed', 'read late'] as const

/** What a coordinator of this kind answers. */
function coordinator(kind: (typeof COORDINATORS)[number]): (ask: LeaseAsk) => Lease | undefined {
  let asked = 0
  const none: Lease = { ranges: [], forMs: 5_000, members: 3 }
  return ({ gaps }) => {
    asked += 1
    const [first] = gaps
    if (kind === 'is silent' || (kind === 'stops' && asked > 2)) return undefined
    if (kind === 'nothing' || first === undefined) return none
    if (kind === 'nonsense')
      return {
        ranges: [
          { from: -5, to: 0 },
          { from: 99, to: 1e9 },
        ],
        forMs: 1e12,
        members: 0,
      }
    if (kind === 'all') return { ranges: gaps, forMs: 60_000, members: 2 }
    return { ranges: [{ from: first.from, to: first.from + 1 }], forMs: kind === 'too short' ? 0 : 3_000, members: 4 }
  }
}

function originFaults(kind: (typeof ORIGINS)[number]): Partial<Faults> {
  if (kind === 'slow') return { firstByteMs: 50, pieceMs: 5 }
  return kind === 'without ranges' ? { ignoresRange: true } : {}
}

interface Scene {
  readonly world: TransferWorld
  readonly story: string
  readonly turn: (typeof TURNS)[number]
}

function scene(seed: number): Scene {
  const random = new SeededRandom(seed)
  const oneOf = <T>(items: readonly T[]): T => items[random.below(items.length)] as T
  const count = oneOf([2, 3, 9, 20])
  const bytes = randomBytesOf(`leases ${seed}`, (count - 1) * CHUNK + 1 + random.below(CHUNK))
  const [grants, origin, peer, turn] = [oneOf(COORDINATORS), oneOf(ORIGINS), oneOf(PEERS), oneOf(TURNS)]
  const world = new TransferWorld(bytes, { origin: originFaults(origin) })
  misbehave(world, origin)
  world.swarm.grants = coordinator(grants)
  world.swarm.searchMs = oneOf([0, 30])
  addPeer(world, peer, count)
  return {
    world,
    turn,
    story: `seed ${seed}: ${count} chunks, leases: ${grants}, origin: ${origin}, peer: ${peer}, ${turn}`,
  }
}

function misbehave({ origin }: TransferWorld, kind: (typeof ORIGINS)[number]): void {
  const open = origin.open.bind(origin)
  let asked = 0
  origin.open = async (range, options) => {
    asked += 1
    if (kind === 'two at a time' && origin.busy > 1) throw new ShoalError('ORIGIN_RATE_LIMITED', kind)
    const body = await open(range, options)
    if (kind === 'hangs in the first' && asked === 1) {
      return { ...body, bytes: after(2_000, body.bytes, options.signal) }
    }
    return body
  }
}

/** As if nothing came for a while. */
async function* after(ms: number, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await pause(ms, undefined, { signal })
  yield* bytes
}

function addPeer({ swarm, bytes, digest }: TransferWorld, kind: (typeof PEERS)[number], count: number): void {
  if (kind === 'nobody') return
  const all = Array.from({ length: count }, (_, index) => index)
  const only = kind === 'half' || kind === 'grows' ? all.filter((index) => index % 2 === 1) : all
  const its = kind === 'false' ? falsified(bytes, all) : bytes
  const faults: Partial<Faults> = {}
  if (kind === 'stalls') faults.stallAfter = CHUNK + 10
  if (kind === 'vanishes') faults.goneAfter = CHUNK + 10
  const peer = new FakePeer(kind, its, { chunks: only, faults })
  if (kind === 'waits') peer.open = async (_range, { signal }) => await untilAborted(signal)
  swarm.add(peer, statementOf(kind, digest, its, { only }))
  if (kind !== 'grows') return
  setTimeout(() => {
    for (const index of all) peer.chunks?.add(index)
    for (const { events } of swarm.joined) {
      events.stated(statementOf(kind, digest, bytes, { only: all }))
      events.gained(peer)
    }
  }, 100)
}

async function untilAborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  return await promise
}

async function keepHalf(world: TransferWorld): Promise<void> {
  const kept = await world.store.openPartial(world.digest, world.bytes.length)
  for (let index = 0; index * CHUNK < world.bytes.length; index += 2) {
    await kept.write(index * CHUNK, [world.bytes.subarray(index * CHUNK, (index + 1) * CHUNK)])
    await kept.logChunk(index, await kept.hashChunk(index), { isSure: true })
  }
  await kept.close()
}

/** @returns what should not have happened */
async function play(seed: number): Promise<string[]> {
  const { world, story, turn } = scene(seed)
  if (turn === 'resumed') await keepHalf(world)
  if (turn === 'together') world.swarm.hasPeers = false
  if (turn === 'alone' || turn === 'together') setTimeout(() => void (world.swarm.hasPeers = turn === 'together'), 40)
  const transfer = world.transfer({ offset: (seed % 10) / 10 })
  const work = async (): Promise<{ seen: Buffer; error: unknown }> => {
    await transfer.begin(world.origin, world.beginning({ statedSize: seed % 2 === 0 ? world.bytes.length : undefined }))
    const reader = transfer.openReader()
    if (turn === 'read late') await pause(500)
    const result = await readAll(reader)
    await reader.close()
    return result
  }
  const deadline = pause(ENDS_MS, undefined, { ref: false })
  const failed = (error: unknown): Awaited<ReturnType<typeof work>> => ({ seen: Buffer.alloc(0), error })
  const pulled = await Promise.race([work().catch(failed), deadline])
  if (pulled === undefined) return [`${story}: does not end`]
  const { seen, error } = pulled
  const faults: [boolean, string][] = [
    [!seen.equals(world.bytes.subarray(0, seen.length)), 'a wrong byte was read'],
    [error !== undefined, `failed: ${String(error)}`],
    [error === undefined && seen.length !== world.bytes.length, 'a body ended normally and is not whole'],
    [world.origin.busy > 0, 'a request to the origin goes on'],
  ]
  return faults.filter(([isSo]) => isSo).map(([, what]) => `${story}: ${what}`)
}

describe('transfers under leases, whatever coordinators and peers do', () => {
  const first = Number(process.env['SHOAL_TEST_SEED'] ?? 1)
  it(`bring the whole blob that the origin has, seeds from ${first} on`, { timeout: 60_000 }, async () => {
    const faults = await Promise.all(Array.from({ length: SEEDS }, (_, step) => play(first + step)))
    expect(faults.flat()).toEqual([])
  })
})
