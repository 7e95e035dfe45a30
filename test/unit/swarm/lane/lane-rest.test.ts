import { describe, expect, it } from 'vitest'
import { laneRestMs } from '../../../../src/swarm/lane/lane-rest.ts'

const KIB = 1024

describe('the rest of a connection after a piece of a body', () => {
  it.each([
    ['is as long as two records of TLS take', { received: 64 * KIB, left: 1024 * KIB, ageMs: 80 }, 40],
    ['is no longer than the rest of the body takes', { received: 64 * KIB, left: 8 * KIB, ageMs: 80 }, 10],
    ['is bounded, however slowly a body comes', { received: 16 * KIB, left: 1024 * KIB, ageMs: 2_000 }, 200],
    ['is left out where bytes come fast', { received: 1024 * KIB, left: 1024 * KIB, ageMs: 100 }, 0],
    [
      'is left out as long as it is not known how fast they come',
      { received: 16 * KIB, left: 1024 * KIB, ageMs: 20 },
      0,
    ],
    ['is left out when all is there', { received: 64 * KIB, left: 0, ageMs: 80 }, 0],
    ['is left out when nothing came', { received: 0, left: 64 * KIB, ageMs: 80 }, 0],
  ])('%s', (_, body, restMs) => {
    expect(laneRestMs(body)).toBe(restMs)
  })
})
