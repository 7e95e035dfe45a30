import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentRange, parseRange } from '../../../src/facade/byte-range.ts'

const SIZE = 1_000
const one = (start: number, end: number) => ({ kind: 'ranges', ranges: [{ start, end }] })

describe('parseRange', () => {
  it.each([
    ['bytes=0-499', one(0, 500)],
    ['bytes=500-', one(500, 1_000)],
    ['bytes=0-', one(0, 1_000)],
    ['bytes=-200', one(800, 1_000)],
    ['bytes=-5000', one(0, 1_000)],
    ['bytes=999-5000', one(999, 1_000)],
    ['bytes=0-0', one(0, 1)],
    ['BYTES=0-0', one(0, 1)],
    ['bytes= 0-0 , ', one(0, 1)],
    ['bytes=,0-0,,', one(0, 1)],
    ['bytes=0-0,5000-', one(0, 1)],
    [`bytes=0-${'9'.repeat(400)}`, one(0, 1_000)],
    [
      'bytes=0-9,20-29,-10',
      {
        kind: 'ranges',
        ranges: [
          { start: 0, end: 10 },
          { start: 20, end: 30 },
          { start: 990, end: 1_000 },
        ],
      },
    ],
  ])('reads %s', (header, expected) => {
    expect(parseRange(header, SIZE)).toEqual(expected)
  })

  it.each(['bytes=1000-', 'bytes=5000-6000', 'bytes=-0', `bytes=${'9'.repeat(400)}-`, 'bytes=2000-,-0'])(
    'finds nothing for %s',
    (header) => {
      expect(parseRange(header, SIZE)).toEqual({ kind: 'unsatisfiable' })
    },
  )

  it.each([
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'bytes=-',
    'bytes=a-b',
    'bytes=500-0',
    'bytes=0-1,x',
    'bytes=0x1-2',
    'bytes=--5',
    'bytes=1.5-2',
    'items=0-1',
    'bytes=0-999,0-999',
    `bytes=${Array.from({ length: 1_025 }, (_, i) => `${i}-${i}`).join(',')}`,
  ])('ignores %s', (header) => {
    expect(parseRange(header, SIZE)).toEqual({ kind: 'full' })
  })

  it('gives 1024 ranges, as many as clients ask for', () => {
    const header = `bytes=${Array.from({ length: 1_024 }, (_, i) => `${i * 2}-${i * 2}`).join(',')}`
    const parsed = parseRange(header, 4_096)
    expect(parsed.kind === 'ranges' && parsed.ranges.length).toBe(1_024)
  })

  it('has nothing to give of an empty blob: a suffix is the whole, a position is beyond', () => {
    expect(parseRange('bytes=-5', 0)).toEqual({ kind: 'full' })
    expect(parseRange('bytes=0-', 0)).toEqual({ kind: 'unsatisfiable' })
  })

  it('never gives a range that is empty or outside, nor more bytes than there are, for any header', () => {
    const number = fc.oneof(fc.nat(20), fc.nat(), fc.constant(''))
    const spec = fc.oneof(
      fc.tuple(number, number).map(([a, b]) => `${a}-${b}`),
      fc.string({ maxLength: 6 }),
    )
    const check = (): void =>
      fc.assert(
        fc.property(fc.array(spec, { maxLength: 6 }), fc.nat(30), (specs, size) => {
          const parsed = parseRange(`bytes=${specs.join(',')}`, size)
          if (parsed.kind !== 'ranges') return true
          const inside = parsed.ranges.every(({ start, end }) => start >= 0 && start < end && end <= size)
          return inside && parsed.ranges.reduce((sum, { start, end }) => sum + end - start, 0) <= size
        }),
        { numRuns: 2_000 },
      )
    expect(check).not.toThrow()
  })
})

it('names the last byte, not the one after it, in Content-Range', () => {
  expect(contentRange({ start: 5, end: 10 }, 20)).toBe('bytes 5-9/20')
})
