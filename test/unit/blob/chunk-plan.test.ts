import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chunkAt, chunkEnd, chunkStart, planChunks } from '../../../src/blob/chunk-plan.ts'

const KIB = 1024
const MIB = 1024 * KIB

describe('planChunks', () => {
  it.each([
    [0, 256 * KIB, 1],
    [1, 256 * KIB, 1],
    [256 * KIB, 256 * KIB, 1],
    [256 * KIB + 1, 256 * KIB, 2],
    [32 * MIB, 256 * KIB, 128],
    [32 * MIB + 1, 512 * KIB, 65],
    [512 * MIB, 4 * MIB, 128],
    [10 * 1024 * MIB, 4 * MIB, 2560],
  ])('cuts %i bytes into chunks of %i, %i of them', (size, chunkBytes, count) => {
    expect(planChunks(size)).toEqual({ size, chunkBytes, count })
  })

  it('refuses what is no size', () => {
    for (const size of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => planChunks(size)).toThrow(RangeError)
  })

  it('covers every byte exactly once, in powers of two from 256 KiB to 4 MiB', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 * 1024 * MIB }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (size, at) => {
          const plan = planChunks(size)
          expect(Math.log2(plan.chunkBytes) % 1).toBe(0)
          expect(plan.chunkBytes).toBeGreaterThanOrEqual(256 * KIB)
          expect(plan.chunkBytes).toBeLessThanOrEqual(4 * MIB)
          expect(chunkEnd(plan, plan.count - 1)).toBe(size)
          const position = Math.min(size - 1, Math.floor(at * size))
          const index = chunkAt(plan, position)
          expect(chunkStart(plan, index)).toBeLessThanOrEqual(position)
          expect(chunkEnd(plan, index)).toBeGreaterThan(position)
        },
      ),
    )
  })
})
