import { describe, expect, it } from 'vitest'
import { LEASE_LIMITS } from '../../../../src/swarm/leases/lease-limits.ts'
import { LeasePace } from '../../../../src/swarm/leases/lease-pace.ts'

const LIMITS = { ...LEASE_LIMITS, startOut: 4, maxOut: 512, aheadMs: 250, firstLeaseMs: 8_000, leaseMs: 3_000 }

/** `perSecond` chunks come one after the other for so long. @returns the time then */
function bring(pace: LeasePace, init: { from: number; perSecond: number; ms: number; chunkMs: number }): number {
  const step = 1_000 / init.perSecond
  pace.started(init.from)
  pace.brought({ leaseMs: 200, chunkMs: 200 }, init.from)
  for (let at = init.from + step; at <= init.from + init.ms; at += step) {
    pace.brought({ leaseMs: init.chunkMs, chunkMs: init.chunkMs }, at)
  }
  return init.from + init.ms
}

describe('how many chunks are out', () => {
  it('is little as long as nothing is known', () => {
    const pace = new LeasePace(LIMITS)
    expect(pace.cap(0)).toBe(4)
    expect(pace.chunkMs).toBeUndefined()
  })

  it('is what the origin brings in about half a second, also when that is a lot', () => {
    for (const perSecond of [12, 48, 200]) {
      const pace = new LeasePace(LIMITS)
      const now = bring(pace, { from: 0, perSecond, ms: 4_000, chunkMs: 450 })
      expect(pace.cap(now)).toBeGreaterThanOrEqual(Math.floor(perSecond * 0.4))
      expect(pace.cap(now)).toBeLessThanOrEqual(Math.ceil(perSecond * 0.6))
      expect(pace.chunkMs).toBe(450)
    }
  })

  it('grows while chunks come soon, for the origin may be able to give more', () => {
    const pace = new LeasePace(LIMITS)
    bring(pace, { from: 0, perSecond: 4, ms: 1_000, chunkMs: 100 })
    expect(pace.cap(1_000)).toBe(9)
  })

  it('is little for an origin that takes seconds for each', () => {
    const pace = new LeasePace(LIMITS)
    const now = bring(pace, { from: 0, perSecond: 0.5, ms: 20_000, chunkMs: 8_000 })
    expect(pace.cap(now)).toBe(4)
  })

  it('is halved once when the origin refuses several at a time, down to one, and recovers slowly', () => {
    const pace = new LeasePace(LIMITS)
    const now = bring(pace, { from: 0, perSecond: 40, ms: 4_000, chunkMs: 450 })
    const before = pace.cap(now)
    pace.refused(now)
    pace.refused(now + 1)
    expect(pace.cap(now + 1)).toBe(Math.floor(before / 2))
    for (let turn = 1; turn < 10; turn++) pace.refused(now + turn * 600)
    expect(pace.cap(now + 5_400)).toBe(1)
    expect(pace.cap(now + 6_000)).toBe(1)
    expect(pace.cap(now + 8_000)).toBe(2)
    expect(pace.cap(now + 60_000)).toBe(4)
  })
})

it('as long as nothing has come, nobody knows how long a chunk takes', () => {
  const pace = new LeasePace(LIMITS)
  expect(pace.leaseMs(1)).toBe(8_000)
  pace.brought({ leaseMs: 20, chunkMs: 20 }, 0)
  expect(pace.leaseMs(1)).toBe(3_000)
})

it('a coordinator that is late itself gives everybody more time', () => {
  const lateness = { ms: 0 }
  const pace = new LeasePace(LIMITS, lateness)
  pace.brought({ leaseMs: 20, chunkMs: 20 }, 0)
  expect([pace.leaseMs(1), pace.lateMs(1), pace.freshMs]).toEqual([3_000, 1_000, 3_000])
  lateness.ms = 500
  expect([pace.leaseMs(1), pace.lateMs(1), pace.freshMs]).toEqual([4_500, 2_500, 4_500])
  lateness.ms = 1e9
  expect([pace.leaseMs(1), pace.lateMs(1), pace.freshMs]).toEqual([12_000, 4_000, 12_000])
})
