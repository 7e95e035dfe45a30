import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { GarbageCollector } from '../../../src/store/garbage-collector.ts'
import { type Evictable, sumBytes } from '../../../src/store/victims.ts'
import { silentLog } from '../../fakes/silent-log.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const NOW = 100 * DAY_MS

function row(number: number, given: Partial<Evictable> = {}): Evictable {
  const digest = digestOf('sha256', number.toString(16).padStart(64, '0'))
  return { kind: 'blob', digest, size: 10, usedAt: number, isPinned: false, isInUse: false, ...given }
}

function collectorOf(rows: Evictable[], init: { quotaBytes: number; freeBytes?: number }) {
  const left = new Set(rows)
  const store = {
    get bytes() {
      return sumBytes([...left])
    },
    rows: () => left,
    evict: async (victim: Evictable) => {
      left.delete(victim)
    },
    freeBytes: async () => init.freeBytes,
  }
  const collector = new GarbageCollector({ log: silentLog, clock: () => NOW, store }, { quotaBytes: init.quotaBytes })
  return { collector, left }
}

describe('GarbageCollector', () => {
  it('evicts nothing while there is room', async () => {
    const { collector, left } = collectorOf([row(1), row(2)], { quotaBytes: 30 })
    await collector.makeRoom(10)
    expect(left.size).toBe(2)
  })

  it('evicts a little more than needed', async () => {
    const rows = Array.from({ length: 100 }, (_, number) => row(number))
    const { collector, left } = collectorOf(rows, { quotaBytes: 1000 })
    await collector.makeRoom(1)
    expect(left.size).toBe(94)
  })

  it('evicts nothing when it could not make enough room', async () => {
    const { collector, left } = collectorOf([row(1), row(2, { isPinned: true })], { quotaBytes: 20 })
    await expect(collector.makeRoom(11)).rejects.toMatchObject({ code: 'STORE_FULL' })
    await expect(collector.makeRoom(21)).rejects.toMatchObject({ code: 'STORE_FULL' })
    expect(left.size).toBe(2)
  })

  it('gives the same room to one caller only, until it is given back', async () => {
    const { collector } = collectorOf([], { quotaBytes: 20 })
    const results = await Promise.allSettled([collector.makeRoom(12), collector.makeRoom(12)])
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected'])
    if (results[0].status === 'fulfilled') results[0].value[Symbol.dispose]()
    await collector.makeRoom(12)
  })

  it('gives the room of a failed eviction back', async () => {
    const left = [row(1)]
    const store = {
      bytes: 10,
      rows: () => left,
      evict: () => Promise.reject(new Error('read-only')),
      freeBytes: async () => undefined,
    }
    const collector = new GarbageCollector({ log: silentLog, clock: () => NOW, store }, { quotaBytes: 20 })
    await expect(collector.makeRoom(15)).rejects.toThrow('read-only')
    await collector.makeRoom(10)
  })

  it('evicts for a disk that has less than the quota allows', async () => {
    const { collector, left } = collectorOf([row(1), row(2), row(3)], { quotaBytes: 1000, freeBytes: 5 })
    await collector.makeRoom(10)
    expect(left.size).toBe(2)
    await expect(collector.makeRoom(500)).rejects.toMatchObject({ code: 'STORE_FULL' })
  })

  it('collects stale partial blobs, and down to what may be kept', async () => {
    const stale = row(1, { kind: 'partial', usedAt: 92 * DAY_MS })
    const rows = [row(2), row(3), row(4), stale]
    const { collector, left } = collectorOf(rows, { quotaBytes: 1000 })
    expect(await collector.collect()).toEqual({
      removed: [{ kind: 'partial', digest: stale.digest, size: 10 }],
      freedBytes: 10,
    })
    expect(await collector.collect()).toEqual({ removed: [], freedBytes: 0 })
    expect((await collector.collect({ keepBytes: 12 })).freedBytes).toBe(20)
    expect([...left].map((one) => one.usedAt)).toEqual([4])
  })
})
