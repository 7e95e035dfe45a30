import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { chooseVictims, type Evictable, sumBytes } from '../../../src/store/victims.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const NOW = 100 * DAY_MS

function row(number: number, given: Partial<Evictable> = {}): Evictable {
  const digest = digestOf('sha256', number.toString(16).padStart(64, '0'))
  return { kind: 'blob', digest, size: 10, usedAt: NOW - number, isPinned: false, isInUse: false, ...given }
}

describe('chooseVictims', () => {
  it('takes the least recently used first, and no more than needed', () => {
    const [newest, middle, oldest] = [row(1), row(2), row(3)]
    expect(chooseVictims([middle, newest, oldest], 11, NOW)).toEqual([oldest, middle])
    expect(chooseVictims([middle, newest, oldest], 10, NOW)).toEqual([oldest])
  })

  it('takes partial blobs that nobody took up for seven days before any blob', () => {
    const old = row(50 * DAY_MS)
    const stale = row(8 * DAY_MS, { kind: 'partial' })
    const fresh = row(6 * DAY_MS, { kind: 'partial' })
    expect(chooseVictims([fresh, old, stale], 30, NOW)).toEqual([stale, old, fresh])
  })

  it('never takes what is pinned or in use, and frees enough unless there is no more', () => {
    const rows = fc.array(
      fc.record({
        kind: fc.constantFrom('blob' as const, 'partial' as const),
        size: fc.nat({ max: 1000 }),
        usedAt: fc.nat({ max: NOW }),
        isPinned: fc.boolean(),
        isInUse: fc.boolean(),
      }),
    )
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 5000 }), (given, need) => {
        const all = given.map((one, number) => row(number, one))
        const victims = chooseVictims(all, need, NOW)
        expect(victims.filter((victim) => victim.isPinned || victim.isInUse)).toEqual([])
        const free = all.filter((one) => !one.isPinned && !one.isInUse)
        expect(sumBytes(victims)).toBeGreaterThanOrEqual(Math.min(need, sumBytes(free)))
        expect(sumBytes(victims.slice(0, -1))).toBeLessThan(need)
      }),
    )
  })
})
