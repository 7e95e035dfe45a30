import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { chunkMapBytes, encodeChunkMap, parseChunkMap } from '../../../src/store/chunk-map.ts'

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

const maps = fc.record({ name: fc.string(), size: fc.integer({ min: 0, max: 40_000_000 }) }).map(({ name, size }) => ({
  digest: digestOf('sha256', hashOf(name)),
  size,
  hashes: Array.from({ length: planChunks(size).count }, (_, index) => hashOf(`${name} ${index}`)),
}))

describe('a chunk map', () => {
  it('gives back every hash in order', () => {
    fc.assert(
      fc.property(maps, ({ digest, size, hashes }) => {
        const bytes = encodeChunkMap(digest, size, hashes)
        expect(bytes.length).toBe(chunkMapBytes(size))
        expect(parseChunkMap(bytes, digest, size)).toEqual(hashes)
      }),
      { numRuns: 50 },
    )
  })

  it('says nothing when a bit of it is another, it is cut short or goes on', () => {
    fc.assert(
      fc.property(maps, fc.nat(), fc.nat({ max: 7 }), ({ digest, size, hashes }, at, bit) => {
        const bytes = encodeChunkMap(digest, size, hashes)
        const place = at % bytes.length
        expect(parseChunkMap(bytes.subarray(0, place), digest, size)).toBeUndefined()
        expect(parseChunkMap(Buffer.concat([bytes, Buffer.alloc(1)]), digest, size)).toBeUndefined()
        bytes.writeUInt8(bytes.readUInt8(place) ^ (1 << bit), place)
        expect(parseChunkMap(bytes, digest, size)).toBeUndefined()
      }),
      { numRuns: 100 },
    )
  })

  it('says nothing about another blob or another size of as many chunks', () => {
    const digest = digestOf('sha256', hashOf('this'))
    const hashes = [hashOf('0'), hashOf('1')]
    const bytes = encodeChunkMap(digest, 300_000, hashes)
    expect(parseChunkMap(bytes, digest, 300_000)).toEqual(hashes)
    expect(parseChunkMap(bytes, digestOf('sha256', hashOf('that')), 300_000)).toBeUndefined()
    expect(parseChunkMap(bytes, digest, 300_001)).toBeUndefined()
  })
})
