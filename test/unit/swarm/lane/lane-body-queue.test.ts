import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LaneBodyQueue } from '../../../../src/swarm/lane/lane-body-queue.ts'

it('gives out what came, in order, however it came', async () => {
  const cuts = fc.array(fc.record({ length: fc.integer({ min: 1, max: 50 }), moves: fc.boolean(), take: fc.boolean() }))
  await fc.assert(
    fc.asyncProperty(cuts, async (cuts) => {
      const queue = new LaneBodyQueue()
      let slab = Buffer.alloc(4_096)
      let offset = 0
      let value = 0
      const sent: Buffer[] = []
      const got: Buffer[] = []
      for (const { length, moves, take } of cuts) {
        if (moves || offset + length > slab.length) {
          slab = Buffer.alloc(4_096)
          offset = 0
        }
        const piece = slab.subarray(offset, offset + length)
        for (let i = 0; i < length; i += 1) piece[i] = value++ & 0xff
        offset += length
        sent.push(Buffer.from(piece))
        queue.push(piece)
        if (take) got.push((await queue.take()) ?? Buffer.alloc(0))
      }
      queue.finish({})
      for (let piece = await queue.take(); piece !== undefined; piece = await queue.take()) got.push(piece)
      expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true)
    }),
  )
})

it('hands on neighbours in memory as one piece', async () => {
  const queue = new LaneBodyQueue()
  const slab = Buffer.from('abcdef')
  queue.push(slab.subarray(0, 2))
  queue.push(slab.subarray(2, 4))
  queue.push(Buffer.from('x'))
  expect((await queue.take())?.toString()).toBe('abcd')
  expect((await queue.take())?.toString()).toBe('x')
})

it('gives out what came before an error, then the error', async () => {
  const queue = new LaneBodyQueue()
  queue.push(Buffer.from('a'))
  queue.finish({ error: new Error('cut') })
  queue.finish({})
  expect((await queue.take())?.toString()).toBe('a')
  await expect(queue.take()).rejects.toThrow('cut')
})

it('lets a reader wait for the next piece, and for the end', async () => {
  const queue = new LaneBodyQueue()
  const piece = queue.take()
  queue.push(Buffer.from('a'))
  expect((await piece)?.toString()).toBe('a')
  const end = queue.take()
  queue.finish({})
  expect(await end).toBeUndefined()
})
