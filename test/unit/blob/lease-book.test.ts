import { expect, it } from 'vitest'
import { LeaseBook, PROGRESS_BYTES } from '../../../src/blob/lease-book.ts'
import type { ChunkRange } from '../../../src/blob/ports.ts'

const ASK = { size: 8 * 256 * 1024, gaps: [{ from: 0, to: 8 }], fetching: [], most: 2 }

/** A book at a time that a test sets. */
function book() {
  const clock = { now: 1_000 }
  const leases = new LeaseBook({ clock: () => clock.now }, { chunks: 8 })
  const grant = (ranges: readonly ChunkRange[], forMs: number): void => {
    leases.asked(ASK)
    leases.leased({ ranges, forMs, members: 2 })
  }
  return { clock, leases, grant, mayAsk: () => leases.view(clock.now, true).mayAsk }
}

it('a lease of something new is followed by the next ask at once', () => {
  const { grant, mayAsk } = book()
  grant([{ from: 0, to: 2 }], 3_000)
  expect(mayAsk()).toBe(true)
  grant([{ from: 1, to: 3 }], 3_000)
  expect(mayAsk()).toBe(true)
})

it.each<[string, ChunkRange[], number]>([
  ['nothing', [], 0],
  [
    'chunks that do not exist',
    [
      { from: -5, to: 0 },
      { from: 8, to: 1e9 },
    ],
    3_000,
  ],
  ['chunks for no time', [{ from: 3, to: 5 }], 0],
  ['what was granted before', [{ from: 0, to: 2 }], 3_000],
])('a lease of %s is followed by a pause, or asks and answers would never end', (_what, ranges, forMs) => {
  const { clock, grant, mayAsk } = book()
  grant([{ from: 0, to: 2 }], 3_000)
  grant(ranges, forMs)
  expect(mayAsk()).toBe(false)
  clock.now += 50
  expect(mayAsk()).toBe(true)
})

it('a lease for no time is none: what then comes without leave counts as such', () => {
  const { leases, grant, clock } = book()
  grant([{ from: 3, to: 5 }], 0)
  clock.now += 4_000
  leases.came(3, 'origin')
  expect(leases.view(clock.now, true)).toMatchObject({ withoutLeave: 1, quietMs: 4_000, isOwing: false })
})

it('tells of each chunk whether it came from the origin without a lease', () => {
  const { leases, grant } = book()
  grant([{ from: 0, to: 1 }], 3_000)
  expect([leases.came(0, 'origin'), leases.came(1, 'peer'), leases.came(2, 'origin')]).toEqual([false, false, true])
})

it('what comes of a large chunk shows that something comes, from the origin only under a lease', () => {
  const { clock, leases, grant } = book()
  const quietMs = (): number => leases.view(clock.now, true).quietMs
  grant([{ from: 0, to: 1 }], 60_000)
  clock.now += 5_000
  leases.progressed(4, PROGRESS_BYTES, 'origin')
  leases.progressed(4, PROGRESS_BYTES - 1, 'peer')
  expect(quietMs()).toBe(5_000)
  leases.progressed(0, 1, 'origin')
  expect(quietMs()).toBe(0)
  // and does not show that whole chunks come often
  leases.came(7, 'origin')
  clock.now += 5_000
  leases.progressed(5, PROGRESS_BYTES, 'peer')
  leases.came(5, 'peer')
  expect(leases.view(clock.now, true).withoutLeave).toBe(1)
})
