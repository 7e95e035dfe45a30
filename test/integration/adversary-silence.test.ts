/** Peers that say they have a blob and do not give it, or not as it is asked for. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestBlob } from '../fakes/fake-content.ts'
import { Arena } from '../fixtures/adversary/arena.ts'
import { blobOf, CHUNK_BYTES } from '../fixtures/adversary/false-blob.ts'
import * as lane from '../fixtures/adversary/lane-scripts.ts'
import type { LaneScript } from '../fixtures/adversary/scripted-lane-server.ts'
import { CHUNKS, LIE_BYTES, type Lie, tryPulls } from '../fixtures/adversary/trial.ts'

interface Case {
  readonly name: string
  readonly gives: (blob: TestBlob) => LaneScript
  /** Good chunks that it gives: readers get them from the registry as long as nobody else vouches for them. */
  readonly unconfirmed?: number
}

const CASES: readonly Case[] = [
  { name: 'gives half of a body', gives: ({ bytes }) => lane.givesHalf(bytes) },
  { name: 'gives more than it said', gives: ({ bytes }) => lane.givesMore(bytes) },
  { name: 'promises more than was asked', gives: ({ bytes }) => lane.promisesMore(bytes) },
  { name: 'gives another range', gives: ({ bytes }) => lane.givesAnotherRange(bytes) },
  { name: 'gives a body without length or end', gives: () => lane.neverEndsChunked },
  { name: 'gives headers without end', gives: () => lane.headNeverEnds },
  { name: 'answers with what is no HTTP', gives: () => lane.noHttp },
  { name: 'stalls before the headers', gives: () => lane.stallsAtOnce },
  { name: 'stalls after the headers', gives: () => lane.stallsAfterHead },
  { name: 'stalls in a chunk', gives: ({ bytes }) => lane.stallsHalfway(bytes) },
  {
    name: 'gives a good chunk and stalls then',
    gives: ({ bytes }) => lane.afterOne(bytes, lane.stallsHalfway(bytes)),
    unconfirmed: 3,
  },
  { name: 'announces it and says 404', gives: () => lane.lacks },
  { name: 'is always busy', gives: () => lane.isAlwaysBusy },
]

let arena: Arena
const lost = new Map(CASES.map(({ name }) => [name, blobOf(`lost ${name}`, CHUNKS)]))

beforeAll(async () => {
  arena = await Arena.start({ honest: 3, lost: [...lost.values()] })
})
afterAll(() => arena[Symbol.asyncDispose]())

describe.each(CASES)('a peer that $name', ({ name, gives, unconfirmed = 0 }) => {
  const lie: Lie = (blob) => ({ states: 'map', hashes: blob.hashes, gives: gives(blob) })

  it('costs next to nothing where the registry has the blob', async () => {
    const { wasted } = await tryPulls(arena, name, lie, { stage: 'registry' })
    expect(wasted).toBeLessThanOrEqual(LIE_BYTES + unconfirmed * CHUNK_BYTES)
  })

  it('costs next to nothing beside an honest one', async () => {
    const { wasted } = await tryPulls(arena, name, lie, { stage: 'registry and holder' })
    expect(wasted).toBeLessThanOrEqual(LIE_BYTES)
  })

  it('keeps nobody from a blob that one honest peer has when the registry is gone', async () => {
    const blob = lost.get(name) ?? blobOf(name, CHUNKS)
    const { wasted } = await tryPulls(arena, name, lie, { stage: 'holder', blob })
    expect(wasted).toBeLessThanOrEqual(LIE_BYTES)
  })
})
