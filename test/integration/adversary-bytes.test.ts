/** Peers that give wrong bytes, and sign what is not so. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Arena } from '../fixtures/adversary/arena.ts'
import { allChunks, blobOf, CHUNK_BYTES, falsified } from '../fixtures/adversary/false-blob.ts'
import { gives, neverEnds } from '../fixtures/adversary/lane-scripts.ts'
import { bansOf, CHUNKS, LIE_BYTES, type Lie, tryPulls } from '../fixtures/adversary/trial.ts'

interface Case {
  readonly name: string
  readonly lie: Lie
  readonly reason: 'false-map' | 'false-claim' | 'wrong-bytes'
  /** Chunks that a lie about some of them makes doubtful: they are held against the registry's. */
  readonly doubtful?: number
  /**
   * Without the registry nobody can tell two statements apart before the whole blob is here: once as it came, from both, and
   * between two maps once more as the wrong one has it.
   */
  readonly unknowable?: number
}

const CASES: readonly Case[] = [
  {
    name: 'gives chunks with one wrong byte each',
    lie: (blob) => ({ states: 'map', hashes: blob.hashes, gives: gives(falsified(blob, allChunks(blob)).bytes) }),
    reason: 'wrong-bytes',
  },
  {
    name: 'gives a body without end',
    lie: (blob) => ({ states: 'map', hashes: blob.hashes, gives: neverEnds }),
    reason: 'wrong-bytes',
  },
  {
    name: 'signs a false map and gives what fits it',
    lie: (blob) => {
      const { bytes, hashes } = falsified(blob, allChunks(blob))
      return { states: 'map', hashes, gives: gives(bytes) }
    },
    reason: 'false-map',
    unknowable: 2 * CHUNKS,
  },
  {
    name: 'signs a map with two false chunks in it and gives what fits it',
    lie: (blob) => {
      const { bytes, hashes } = falsified(blob, [3, 7])
      return { states: 'map', hashes, gives: gives(bytes) }
    },
    reason: 'false-map',
    doubtful: CHUNKS,
  },
  {
    name: 'claims to have got false chunks from the registry',
    lie: (blob) => {
      const { bytes, hashes } = falsified(blob, allChunks(blob))
      return { states: 'claim', hashes, gives: gives(bytes) }
    },
    reason: 'false-claim',
    unknowable: CHUNKS,
  },
  {
    name: 'signs a map whose last chunk is false and gives what fits it',
    lie: (blob) => {
      const { bytes, hashes } = falsified(blob, [CHUNKS - 1])
      return { states: 'map', hashes, gives: gives(bytes) }
    },
    reason: 'false-map',
    doubtful: CHUNKS,
  },
]

let arena: Arena
const lost = new Map(CASES.map(({ name }) => [name, blobOf(`lost ${name}`, CHUNKS)]))

beforeAll(async () => {
  arena = await Arena.start({ honest: 3, lost: [...lost.values()] })
})
afterAll(() => arena[Symbol.asyncDispose]())

describe.each(CASES)('a peer that $name', ({ name, lie, reason, doubtful = 0, unknowable = 0 }) => {
  it('is shut out by who asked it, and costs that two chunks and a check', async () => {
    const { wasted, adversary } = await tryPulls(arena, name, lie, { stage: 'registry' })
    expect(wasted).toBeLessThanOrEqual(LIE_BYTES + doubtful * CHUNK_BYTES)
    const [ban] = await bansOf(arena, adversary, [1])
    expect(ban?.reason).toBe(reason)
    expect(ban).not.toHaveProperty('fromPeer')
  })

  it('costs no more beside an honest one, which shuts it out for what others prove', async () => {
    const on = { stage: 'registry and holder', isHeardOnly: reason !== 'wrong-bytes' } as const
    const { wasted, adversary } = await tryPulls(arena, name, lie, on)
    expect(wasted).toBeLessThanOrEqual(LIE_BYTES + doubtful * CHUNK_BYTES)
    if (reason === 'wrong-bytes') return
    const [holder, ...takers] = await bansOf(arena, adversary, [0, 1, 2])
    expect(holder).toMatchObject({ reason, fromPeer: expect.any(String) })
    for (const ban of takers) expect(ban).toMatchObject({ reason })
  })

  it('keeps nobody from a blob that one honest peer has when the registry is gone', async () => {
    const blob = lost.get(name) ?? blobOf(name, CHUNKS)
    const { wasted, adversary } = await tryPulls(arena, name, lie, { stage: 'holder', blob })
    expect(wasted).toBeLessThanOrEqual(LIE_BYTES + unknowable * CHUNK_BYTES)
    const agents = reason === 'wrong-bytes' ? [] : [0, 1, 2]
    for (const ban of await bansOf(arena, adversary, agents)) expect(ban.reason).toBe(reason)
  })
})
