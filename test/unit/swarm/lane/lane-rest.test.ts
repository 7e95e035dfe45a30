import { describe, expect, it } from 'vitest'
import { LaneRest } from '../../../../src/swarm/lane/lane-rest.ts'

const KIB = 1024

function restAfter(body: { received: number; left: number; ms: number }): number {
  const rest = new LaneRest(1_000)
  rest.came(body.received)
  return rest.next(body.left, 1_000 + body.ms)
}

describe('the rest of a connection while a body comes', () => {
  it.each([
    ['is as long as two records of TLS take', { received: 64 * KIB, left: 1024 * KIB, ms: 80 }, 40],
    ['is no longer than the rest of the body takes', { received: 64 * KIB, left: 8 * KIB, ms: 80 }, 10],
    ['is bounded, however slowly a body comes', { received: 16 * KIB, left: 1024 * KIB, ms: 2_000 }, 200],
    ['is left out where bytes come fast', { received: 1024 * KIB, left: 1024 * KIB, ms: 100 }, 0],
    ['is left out as long as it is not known how fast they come', { received: 16 * KIB, left: 1024 * KIB, ms: 20 }, 0],
    ['is left out when all is there', { received: 64 * KIB, left: 0, ms: 80 }, 0],
    ['is left out when nothing came', { received: 0, left: 64 * KIB, ms: 80 }, 0],
  ])('%s', (_, body, restMs) => {
    expect(restAfter(body)).toBe(restMs)
  })

  it('follows a body that becomes faster, whatever it was before', () => {
    const rest = new LaneRest(0)
    rest.came(16 * KIB)
    expect(rest.next(64 * 1024 * KIB, 5_000)).toBe(200)
    rest.came(1024 * KIB)
    expect(rest.next(64 * 1024 * KIB, 5_200)).toBeLessThan(10)
    rest.came(1024 * KIB)
    expect(rest.next(64 * 1024 * KIB, 5_250)).toBe(0)
  })
})
