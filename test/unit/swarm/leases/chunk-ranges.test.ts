import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chunksIn, cutRanges, includesChunk, rangesOf } from '../../../../src/swarm/leases/chunk-ranges.ts'

describe('ranges of chunks', () => {
  it('name the chunks that they were made of, neighbours together', () => {
    expect(rangesOf([3, 4, 5, 9, 8])).toEqual([
      { from: 3, to: 6 },
      { from: 9, to: 10 },
      { from: 8, to: 9 },
    ])
    fc.assert(
      fc.property(fc.array(fc.nat(50)), (chunks) => {
        const ranges = rangesOf(chunks)
        expect([...chunksIn(ranges)]).toEqual(chunks)
        for (let chunk = 0; chunk < 52; chunk++) expect(includesChunk(ranges, chunk)).toBe(chunks.includes(chunk))
      }),
    )
  })

  it('are cut to the blob, whatever is asked', () => {
    const number = fc.oneof(fc.integer(), fc.double(), fc.constant(Number.NaN))
    fc.assert(
      fc.property(fc.array(fc.record({ from: number, to: number }), { maxLength: 100 }), (ranges) => {
        const cut = cutRanges(ranges, { count: 40, maxRanges: 64 })
        expect(cut.length).toBeLessThanOrEqual(64)
        for (const { from, to } of cut) {
          expect(Number.isInteger(from) && Number.isInteger(to)).toBe(true)
          expect(from).toBeGreaterThanOrEqual(0)
          expect(to).toBeGreaterThan(from)
          expect(to).toBeLessThanOrEqual(40)
        }
      }),
    )
  })
})
