import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs } from '../../../src/origin/backoff.ts'
import { CircuitBreaker } from '../../../src/origin/circuit-breaker.ts'
import { OriginFailure } from '../../../src/origin/origin-failure.ts'
import { parseRetryAfter } from '../../../src/origin/retry-after.ts'

describe('parseRetryAfter', () => {
  it.each([
    ['5', 5_000],
    [' 0 ', 0],
    ['Thu, 01 Jan 1970 00:00:10 GMT', 9_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['soon', undefined],
    ['99999999999999', undefined],
    [undefined, undefined],
  ])('%j at 1 s means %s ms', (value, expected) => {
    expect(parseRetryAfter(value, 1_000)).toBe(expected)
  })
})

describe('backoffMs', () => {
  it('grows, stays within its jitter, and never undercuts what the origin asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
        const full = 100 * 3 ** (failures - 1)
        const ms = backoffMs({ baseMs: 100, factor: 3 }, failures, undefined, random)
        expect(ms).toBeGreaterThanOrEqual(full / 2)
        expect(ms).toBeLessThanOrEqual(full)
        const error = new OriginFailure('ORIGIN_RATE_LIMITED', 'x', { retryAfterMs: 4_000 })
        expect(backoffMs({ baseMs: 100, factor: 3 }, 1, error, random)).toBe(4_000)
      }),
    )
  })
})

describe('CircuitBreaker', () => {
  const error = new OriginFailure('ORIGIN_UNAVAILABLE', 'r: cannot be reached', { unreachable: true })

  it('fails at once while open, lets one probe through afterwards, and closes when that reaches the host', () => {
    let now = 0
    const breaker = new CircuitBreaker({ clock: () => now }, { openMs: 2_000 })
    expect(breaker.enter('h')).toBe(false)
    breaker.unreachable('h', error)
    now = 1_999
    expect(() => breaker.enter('h')).toThrow('cannot be reached')
    expect(breaker.enter('other')).toBe(false)
    now = 2_000
    expect(breaker.enter('h')).toBe(true)
    expect(() => breaker.enter('h')).toThrow('cannot be reached')
    breaker.reached('h')
    expect(breaker.enter('h')).toBe(false)
  })

  it('lets the next one probe when a probe was given up, and stays open when it failed', () => {
    let now = 0
    const breaker = new CircuitBreaker({ clock: () => now }, { openMs: 2_000 })
    breaker.unreachable('h', error)
    now = 2_000
    breaker.enter('h')
    breaker.gaveUp('h')
    expect(breaker.enter('h')).toBe(true)
    breaker.unreachable('h', error)
    now = 3_999
    expect(() => breaker.enter('h')).toThrow('cannot be reached')
  })
})
