import { expect, it } from 'vitest'
import { RateMeter } from '../../../src/util/rate-meter.ts'

const START = 1_000_000

it('tells the rate over what has passed at first, then over four seconds', () => {
  const meter = new RateMeter(START)
  meter.add(1_000, START + 500)
  expect(meter.bytesPerSecond(START + 1_000)).toBe(1_000)
  expect(meter.bytesPerSecond(START + 2_000)).toBe(500)
  for (let second = 2; second < 20; second++) meter.add(3_000, START + second * 1_000)
  expect(meter.bytesPerSecond(START + 19_500)).toBe(3_000)
})

it('forgets what is older', () => {
  const meter = new RateMeter(START)
  meter.add(8_000, START)
  expect(meter.bytesPerSecond(START + 3_900)).toBeGreaterThan(0)
  expect(meter.bytesPerSecond(START + 4_100)).toBe(0)
})

it.each([-3_600_000, 3_600_000])('starts anew when the clock jumps by %i ms', (jump) => {
  const meter = new RateMeter(START)
  meter.add(8_000, START)
  expect(meter.bytesPerSecond(START + jump)).toBe(0)
  meter.add(4_000, START + jump)
  expect(meter.bytesPerSecond(START + jump)).toBeGreaterThanOrEqual(1_000)
})

it('never tells a huge rate of the first bytes', () => {
  const meter = new RateMeter(START)
  meter.add(1_000, START)
  expect(meter.bytesPerSecond(START)).toBe(4_000)
})
