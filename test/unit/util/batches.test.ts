import { describe, expect, it } from 'vitest'
import { batches } from '../../../src/util/batches.ts'

async function* numbers(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield Uint8Array.of(i)
}

describe('batches', () => {
  it('gives everything in order', async () => {
    const seen: number[] = []
    for await (const batch of batches(numbers(100), {
      maxBytes: 8,
      enoughBytes: 0,
      gatherMs: 0,
      stop: () => undefined,
    })) {
      expect(batch.length).toBeLessThanOrEqual(8)
      for (const piece of batch) seen.push(...piece)
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  it('collects what arrives while the consumer is busy', async () => {
    const arrived = Promise.withResolvers<void>()
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(0)
      yield Uint8Array.of(1)
      yield Uint8Array.of(2)
      arrived.resolve()
    }
    const lengths: number[] = []
    for await (const batch of batches(source(), {
      maxBytes: 1024,
      enoughBytes: 0,
      gatherMs: 0,
      stop: () => undefined,
    })) {
      lengths.push(batch.length)
      await arrived.promise
    }
    expect(lengths).toEqual([1, 2])
  })

  it('passes an error of the source on after what came before it', async () => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(1)
      throw new Error('cut')
    }
    const seen: Uint8Array[][] = []
    const reading = (async () => {
      for await (const batch of batches(source(), { maxBytes: 8, enoughBytes: 0, gatherMs: 0, stop: () => undefined }))
        seen.push(batch)
    })()
    await expect(reading).rejects.toThrow('cut')
    expect(seen).toEqual([[Uint8Array.of(1)]])
  })

  it('stops a source that is waiting when the consumer leaves', async () => {
    const stuck = Promise.withResolvers<void>()
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(1)
      await stuck.promise
    }
    for await (const batch of batches(source(), {
      maxBytes: 8,
      enoughBytes: 0,
      gatherMs: 0,
      stop: () => stuck.reject(new Error('stopped')),
    })) {
      expect(batch).toHaveLength(1)
      break
    }
    await expect(stuck.promise).rejects.toThrow('stopped')
  })
})
