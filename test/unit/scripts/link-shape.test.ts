import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseBitRate } from '../../../scripts/fleet/bit-rate.ts'
import { tokenBucketArguments, wireFactor } from '../../../scripts/fleet/link-shape.ts'

test('a bucket holds at least two frames, and what waits in front of it more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 8_000, max: 10e9 }), fc.constantFrom(576, 1500, 9000), (rate, mtu) => {
      const [, , shaped, , burst = '', , limit = ''] = tokenBucketArguments(rate, { mtu, queueMs: 50 })
      expect(shaped).toBe(`${rate}bit`)
      expect(Number.parseInt(burst, 10)).toBeGreaterThanOrEqual(2 * (mtu + 14))
      expect(Number.parseInt(limit, 10)).toBeGreaterThan(Number.parseInt(burst, 10))
    }),
  )
})

test('what goes out at once after a pause is 4 ms of the rate, or what leaves a network card in one piece', () => {
  expect(tokenBucketArguments(500e6, { mtu: 1500, queueMs: 50 })).toContain('250000b')
  expect(tokenBucketArguments(50e6, { mtu: 1500, queueMs: 50 })).toContain('70000b')
})

test('full segments of 1500 bytes carry 1448 in frames of 1514', () => {
  expect(wireFactor(1500)).toBeCloseTo(1514 / 1448, 10)
})

test.each([
  ['50mbit', 50e6],
  ['2.5gbit', 2.5e9],
  ['500kbit', 5e5],
  ['9600bit', 9600],
  ['1GBIT', 1e9],
])('%s is %d bits per second', (text, rate) => {
  expect(parseBitRate(text)).toBe(rate)
})

test.each(['', '50', '50MiB', '0mbit', '-1mbit', '50 mbit', 'mbit', '1e3bit', '0.1bit', '99999999999999gbit'])(
  '%j is no rate',
  (text) => {
    expect(parseBitRate(text)).toBeUndefined()
  },
)
