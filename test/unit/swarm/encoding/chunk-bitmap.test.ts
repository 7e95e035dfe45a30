import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bitmapBytes, ChunkBitmap } from '../../../../src/swarm/encoding/chunk-bitmap.ts'

describe('the bitmap of chunks', () => {
  it('has what was added, here and after its journey', () => {
    const cases = fc
      .integer({ min: 1, max: 70 })
      .chain((count) => fc.tuple(fc.constant(count), fc.array(fc.integer({ min: -2, max: count + 9 }))))
    fc.assert(
      fc.property(cases, ([count, indexes]) => {
        const bitmap = new ChunkBitmap(count)
        for (const index of indexes) bitmap.add(index)
        const expected = new Set(indexes.filter((index) => index >= 0 && index < count))
        const copy = new ChunkBitmap(count)
        expect(copy.addAll(bitmap.toBytes())).toBe(expected.size > 0)
        expect(copy.addAll(bitmap.toBytes())).toBe(false)
        for (const map of [bitmap, copy]) {
          expect(map.size).toBe(expected.size)
          expect(map.isFull).toBe(expected.size === count)
          for (let index = 0; index < count + 10; index++) expect(map.has(index)).toBe(expected.has(index))
        }
      }),
    )
  })

  it('counts bits beyond the last chunk for nothing', () => {
    const bitmap = new ChunkBitmap(3)
    expect(bitmap.addAll(Uint8Array.from([0b1111_1000]))).toBe(false)
    expect(bitmap.size).toBe(0)
  })

  it.each([1, 7, 8, 9, 64])('is full of %i chunks at once', (count) => {
    const bitmap = new ChunkBitmap(count)
    expect(bitmap.fill()).toBe(true)
    expect(bitmap.fill()).toBe(false)
    expect(bitmap.isFull).toBe(true)
    expect(bitmap.has(count)).toBe(false)
    expect(bitmap.toBytes()).toHaveLength(bitmapBytes(count))
  })
})
