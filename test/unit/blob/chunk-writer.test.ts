import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import { ChunkStates } from '../../../src/blob/chunk-states.ts'
import { BringerBook, ChunkWriter } from '../../../src/blob/chunk-writer.ts'
import type { PartialBlob } from '../../../src/blob/ports.ts'
import { Run } from '../../../src/blob/run.ts'
import { TransferSource } from '../../../src/blob/transfer-source.ts'
import { FakeSource } from '../../fakes/fake-source.ts'

const CHUNK = 256 * 1024
const BYTES = Buffer.alloc(4 * CHUNK, 1)
const plan = planChunks(BYTES.length)

/** A run of the origin for all of the blob, and a disk that a test holds up. */
function writing(given: { to: number }) {
  const chunks = new ChunkStates(plan.count)
  const arrived: number[] = []
  const runs: Run[] = []
  const disk = { waits: Promise.resolve() }
  const writer = new ChunkWriter({
    partial: { plan, write: () => disk.waits } as unknown as PartialBlob,
    chunks,
    metrics: {
      received: () => {},
      wasted: () => {},
      duplicated: () => {},
      verified: () => {},
      rejected: () => {},
      transferEnded: () => {},
      passedThrough: () => {},
    },
    events: {
      arrived: (index) => {
        arrived.push(index)
        chunks.set(index, 'received')
      },
      progressed: () => {},
      compared: () => 'same',
      replacing: async () => false,
    },
    runs: () => runs,
    cutShort: async () => {},
    overtake: async () => {},
    bringers: new BringerBook(),
  })
  const source = new TransferSource(new FakeSource({ kind: 'origin', id: 'o', bytes: BYTES }), 'o')
  const start = (id: number, next: number, end: number, position: number): Run => {
    const rest = { stop: new AbortController(), isExtra: false, isSpare: false, startedAt: 0 }
    const run = new Run({ id, source, askedEnd: end, next, end, position, ...rest })
    runs.push(run)
    return run
  }
  const leave = (run: Run): void => {
    runs.splice(runs.indexOf(run), 1)
    writer.leave(run)
  }
  return { writer, chunks, arrived, disk, start, leave, run: start(1, 0, given.to, 0) }
}

describe('ChunkWriter', () => {
  it('keeps what was written of chunks that the run was relieved of meanwhile', async () => {
    const { writer, arrived, disk, run, leave, chunks } = writing({ to: 3 })
    const held = Promise.withResolvers<void>()
    disk.waits = held.promise
    const taking = writer.take(run, [BYTES.subarray(0, 2 * CHUNK + 10)])
    run.end = 1
    held.resolve()
    await taking
    expect(arrived).toEqual([0])
    leave(run)
    expect(arrived).toEqual([0, 1])
    expect(chunks.reached(2)).toBe(2 * CHUNK + 10)
  })

  it('leaves such a chunk to the run that has begun it since', async () => {
    const { writer, arrived, disk, run, leave, start, chunks } = writing({ to: 3 })
    const held = Promise.withResolvers<void>()
    disk.waits = held.promise
    const taking = writer.take(run, [BYTES.subarray(0, 2 * CHUNK)])
    run.end = 1
    start(2, 1, 3, CHUNK)
    held.resolve()
    await taking
    leave(run)
    expect(arrived).toEqual([0])
    expect(chunks.reached(1)).toBeUndefined()
  })

  it('leaves what it began of a chunk to the run that writes it since: readers must not take that for its own', async () => {
    const { writer, disk, run, leave, start, chunks } = writing({ to: 3 })
    const held = Promise.withResolvers<void>()
    disk.waits = held.promise
    const taking = writer.take(run, [BYTES.subarray(0, CHUNK + 10)])
    run.end = 1
    start(2, 1, 3, CHUNK)
    held.resolve()
    await taking
    leave(run)
    expect(chunks.reached(1)).toBeUndefined()
  })

  it('comes to an end with a source that sends more to a run whose chunk is all there', async () => {
    const { writer, arrived, start } = writing({ to: 1 })
    const run = start(2, 1, 2, 2 * CHUNK)
    await writer.take(run, [BYTES.subarray(0, 10)])
    expect(arrived).toEqual([1])
  })
})
