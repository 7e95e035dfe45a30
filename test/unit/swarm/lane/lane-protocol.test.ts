import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../../../src/oci/digest.ts'
import {
  formatContentRange,
  formatLaneRange,
  formatLaneTarget,
  parseContentRange,
  parseLaneRange,
  parseLaneTarget,
} from '../../../../src/swarm/lane/lane-protocol.ts'

const DIGEST = `sha256:${'ab'.repeat(32)}` as Digest

const ranges = fc
  .tuple(fc.nat({ max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 40 }))
  .map(([start, length]) => ({ start, end: start + length }))

describe('the target of a request', () => {
  it.each(['docker.io', 'registry.example:5000', '127.0.0.1:5000', '[::1]:5000', 'a_b.example'])(
    'carries the registry %s',
    (registry) => {
      const target = formatLaneTarget({ digest: DIGEST, registry, range: undefined })
      expect(parseLaneTarget(target)).toEqual({ digest: DIGEST, registry })
    },
  )

  it.each([
    '/v1/blobs/sha256:ab?registry=a',
    `/v1/blobs/${DIGEST}`,
    `/v1/blobs/${DIGEST}?registry=`,
    `/v1/blobs/${DIGEST}?registry=a/b`,
    `/v1/blobs/${DIGEST}?registry=${'a'.repeat(256)}`,
    `/v1/blobs/${DIGEST}?registry=a?registry=b`,
    `/v1/blobs/../${DIGEST}?registry=a`,
    `http://host/v1/blobs/${DIGEST}?registry=a`,
    '*',
    '',
  ])('is nothing else: %s', (target) => {
    expect(parseLaneTarget(target)).toBeUndefined()
  })
})

describe('a range', () => {
  it('comes back as it was sent', () => {
    fc.assert(
      fc.property(ranges, fc.nat({ max: 1000 }), (range, more) => {
        expect(parseLaneRange(formatLaneRange(range))).toEqual(range)
        const size = range.end + more
        expect(parseContentRange(formatContentRange(range, size))).toEqual({ range, size })
      }),
    )
  })

  it.each(['bytes=5-', 'bytes=-5', 'bytes=5-4', 'bytes=0-1,3-4', 'bytes=0-1 ', 'items=0-1', 'bytes=1e3-2e3', ''])(
    'has both ends and is one: %s',
    (header) => {
      expect(parseLaneRange(header)).toBeUndefined()
    },
  )

  it.each(['bytes 0-1/*', 'bytes */5', 'bytes 2-1/5', 'bytes 0-5/5', 'bytes 0-1/1e3', 'bytes=0-1/5', ''])(
    'of an answer lies within a known size: %s',
    (header) => {
      expect(parseContentRange(header)).toBeUndefined()
    },
  )
})
