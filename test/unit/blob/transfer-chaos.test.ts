import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import type { Faults } from '../../fakes/fake-source.ts'
import { FakePeer, falsified, statementOf } from '../../fakes/fake-swarm.ts'
import { TransferWorld } from '../../fakes/transfer-world.ts'
import { randomBytesOf } from '../../fixtures/random-bytes.ts'

const CHUNK = 256 * 1024
/** SHOAL_TEST_SEEDS=200 SHOAL_TEST_SEED=1000 tries more and others. */
const SEEDS = Number(process.env['SHOAL_TEST_SEEDS'] ?? 16)
const AT_ONCE = 16

/** Numbers that follow from the seed alone: mulberry32, https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function randomOf(seed: number): { below(limit: number): number; oneOf<T>(items: readonly T[]): T } {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    below: (limit) => Math.floor(next() * limit),
    oneOf: (items) => items[Math.floor(next() * items.length)] as (typeof items)[number],
  }
}

const PEERS = ['honest', 'some', 'flips', 'lies', 'lies a little', 'stalls', 'is deaf', 'vanishes', 'refuses'] as const
const ORIGINS = ['good', 'good', 'slow', 'vanishes', 'is out', 'stalls'] as const

interface Scene {
  readonly world: TransferWorld
  readonly story: string
  /** Somebody honest has everything and stays. */
  readonly mustSucceed: boolean
  /** Bytes from peers. */
  readonly mayWaste: number
}

function scene(seed: number): Scene {
  const random = randomOf(seed)
  const count = 3 + random.below(10)
  const bytes = randomBytesOf(`chaos ${seed}`, count * CHUNK + random.below(CHUNK))
  const origin = random.oneOf(ORIGINS)
  const world = new TransferWorld(bytes, { origin: originFaults(origin, random.below(bytes.length)) })
  const roles = Array.from({ length: 1 + random.below(5) }, () => random.oneOf(PEERS))
  const chunks = Array.from({ length: count + 1 }, (_, index) => index)
  for (const [at, role] of roles.entries()) {
    const id = `${at} ${role}`
    const some = chunks.filter(() => random.below(2) === 0)
    const lie = falsified(bytes, role === 'lies' ? chunks : [random.below(count + 1)], at + 1)
    const isLiar = role.startsWith('lies')
    const faults: Partial<Faults> = { pieceMs: random.below(3) }
    if (role === 'flips') Object.assign(faults, { flip: new Set(chunks.map((index) => index * CHUNK)) })
    if (role === 'stalls' || role === 'is deaf')
      Object.assign(faults, { stallAfter: random.below(2 * CHUNK), isDeaf: role === 'is deaf' })
    if (role === 'vanishes') faults.goneAfter = random.below(bytes.length)
    if (role === 'refuses')
      faults.refusal = new ShoalError(random.oneOf(['PEER_BUSY', 'PEER_LACKS', 'PEER_MISBEHAVED']), role)
    const peer = new FakePeer(id, isLiar ? lie : bytes, { faults, ...(role === 'some' && { chunks: some }) })
    const only = role === 'some' ? { only: some } : {}
    const statement = statementOf(id, world.digest, isLiar ? lie : bytes, only)
    const delayMs = random.oneOf([0, 0, 5, 50])
    if (delayMs === 0) world.swarm.add(peer, statement)
    else setTimeout(() => world.swarm.add(peer, statement), delayMs)
  }
  world.swarm.searchMs = 60
  const isOriginGood = origin === 'good' || origin === 'slow'
  const mustSucceed = isOriginGood || roles.includes('honest')
  const faulty = roles.filter((role) => role !== 'honest' && role !== 'some').length
  // Between two words and without an origin, only the whole blob tells who lies.
  const mayWaste =
    isOriginGood && !roles.includes('lies a little') ? 3 * CHUNK * (faulty + 1) : bytes.length * (faulty + 1)
  return {
    world,
    mustSucceed,
    mayWaste,
    story: `seed ${seed}: ${count + 1} chunks, the origin ${origin}, ${roles.join(', ')}`,
  }
}

function originFaults(role: (typeof ORIGINS)[number], at: number): Partial<Faults> {
  if (role === 'slow') return { firstByteMs: 100, pieceMs: 5 }
  if (role === 'vanishes') return { goneAfter: at, pieceMs: 1 }
  if (role === 'is out') return { refusal: new ShoalError('ORIGIN_UNAVAILABLE', 'out') }
  return role === 'stalls' ? { stallAfter: at, stallMs: 4_000 } : {}
}

/** @returns what should not have happened */
async function play(seed: number): Promise<string[]> {
  const { world, story, mustSucceed, mayWaste } = scene(seed)
  const pulled = await Promise.race([
    world.pull({ holdBackMs: 60_000, offset: (seed % 10) / 10 }),
    pause(25_000, undefined, { ref: false }),
  ])
  if (pulled === undefined) return [`${story}: does not end`]
  const { seen, error, outcome } = pulled
  const isWhole = seen.length === world.bytes.length && outcome === 'complete'
  const faults: [boolean, string][] = [
    [!seen.equals(world.bytes.subarray(0, seen.length)), 'a wrong byte was read'],
    [mustSucceed && error !== undefined, `failed: ${String(error)}`],
    [error === undefined && !isWhole, 'a body ended normally and is not whole'],
    [error !== undefined && !(error instanceof ShoalError), `no clean error: ${String(error)}`],
    [world.store.openPartials.length > 0, 'a partial blob stays open'],
    [mustSucceed && world.wasted.peer > mayWaste, `wasted ${world.wasted.peer} of ${mayWaste}`],
  ]
  return faults.filter(([isSo]) => isSo).map(([, what]) => `${story}: ${what}`)
}

describe('transfers among peers that lie, stall and vanish', () => {
  const first = Number(process.env['SHOAL_TEST_SEED'] ?? 1)
  for (let from = first; from < first + SEEDS; from += AT_ONCE) {
    it(`give the right bytes or a clean error, seeds from ${from} on`, { timeout: 40_000 }, async () => {
      const faults = await Promise.all(Array.from({ length: AT_ONCE }, (_, step) => play(from + step)))
      expect(faults.flat()).toEqual([])
    })
  }
})
