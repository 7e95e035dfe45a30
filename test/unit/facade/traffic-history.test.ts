import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SAMPLE_MS, TrafficHistory } from '../../../src/facade/traffic-history.ts'

const HOUR_MS = 3_600_000
const START = 1_000_000 * SAMPLE_MS

const totals = (fromOrigin: number, fromPeers = 0, toPeers = 0) => ({ fromOrigin, fromPeers, toPeers })

it('tells what came in each ten seconds, and leaves out those in which nothing moved', () => {
  const history = new TrafficHistory()
  history.record(totals(100, 10, 1), START)
  history.record(totals(150, 10, 1), START + 9_999)
  history.record(totals(150, 10, 1), START + 10_000)
  history.record(totals(150, 30, 2), START + 20_000)
  expect(history.samples(START + 25_000)).toEqual([
    [1_000_000, 150, 10, 1],
    [1_000_002, 0, 20, 1],
  ])
})

it('forgets what is older than an hour', () => {
  const history = new TrafficHistory()
  history.record(totals(100), START)
  expect(history.samples(START + HOUR_MS - SAMPLE_MS)).toHaveLength(1)
  expect(history.samples(START + HOUR_MS)).toEqual([])
  history.record(totals(120), START + HOUR_MS)
  expect(history.samples(START + HOUR_MS)).toEqual([[1_000_360, 20, 0, 0]])
})

it('holds no more than an hour and loses no byte, whatever the clock and the counters do', () => {
  const step = fc.tuple(fc.integer({ min: -2 * HOUR_MS, max: 2 * HOUR_MS }), fc.nat(1_000))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const history = new TrafficHistory()
      let [now, sum] = [START, 0]
      for (const [passed, bytes] of steps) {
        now = Math.max(0, now + passed)
        sum += bytes
        history.record(totals(sum), now)
        const samples = history.samples(now)
        const slots = samples.map(([slot]) => slot)
        expect(samples.length).toBeLessThanOrEqual(360)
        expect(slots).toEqual([...new Set(slots)].sort((a, b) => a - b))
        for (const [, origin] of samples) expect(origin).toBeGreaterThan(0)
        expect(samples.at(-1)?.[1] ?? 0).toBeGreaterThanOrEqual(bytes)
        expect(samples.reduce((all, [, origin]) => all + origin, 0)).toBeLessThanOrEqual(sum)
      }
    }),
  )
})

it('counts nothing when a counter goes back', () => {
  const history = new TrafficHistory()
  history.record(totals(100), START)
  history.record(totals(0), START + SAMPLE_MS)
  expect(history.samples(START + SAMPLE_MS)).toEqual([[1_000_000, 100, 0, 0]])
})
