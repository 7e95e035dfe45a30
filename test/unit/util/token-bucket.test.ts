import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenBucket } from '../../../src/util/token-bucket.ts'

const { signal } = new AbortController()

describe('TokenBucket', () => {
  it('refills with time up to its burst and no further', () => {
    let now = 0
    const bucket = new TokenBucket({ clock: () => now }, { bytesPerSecond: 1000 })
    expect(bucket.level).toBe(250)
    void bucket.take(200, { signal })
    expect(bucket.level).toBe(50)
    now = 100
    expect(bucket.level).toBe(150)
    now = 10_000
    expect(bucket.level).toBe(250)
    now = 0
    expect(bucket.level).toBe(250)
  })

  it('never lets more through than the rate allows, however it is taken', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 50 }), (sizes) => {
        let now = 0
        const bucket = new TokenBucket({ clock: () => now }, { bytesPerSecond: 1000 })
        let taken = 0
        for (const size of sizes) {
          const stop = new AbortController()
          bucket.take(size, { signal: stop.signal }).catch(() => {})
          taken += size
          if (bucket.level < 0) now -= bucket.level
          stop.abort()
        }
        expect(taken).toBeLessThanOrEqual(now + 250 + 1e-6)
      }),
    )
  })

  it('waits for its debt in real time, and stops waiting when aborted', async () => {
    const bucket = new TokenBucket({ clock: Date.now }, { bytesPerSecond: 10_000 })
    const begun = performance.now()
    await bucket.take(3_000, { signal })
    expect(performance.now() - begun).toBeGreaterThan(40)
    const stop = new AbortController()
    const waiting = bucket.take(1e9, { signal: stop.signal })
    stop.abort()
    await expect(waiting).rejects.toThrow('aborted')
  })

  it('lets everything through at once without a rate', async () => {
    const bucket = new TokenBucket({ clock: () => 0 }, { bytesPerSecond: undefined })
    expect(bucket.isLimited).toBe(false)
    await bucket.take(1e12, { signal })
    bucket.setRate(1_000)
    expect(bucket.level).toBe(250)
  })

  it('lets those go on that wait when the limit is taken away', async () => {
    const bucket = new TokenBucket({ clock: Date.now }, { bytesPerSecond: 1_000 })
    const waiting = [bucket.take(1e9, { signal }), bucket.take(1e9, { signal })]
    bucket.setRate(undefined)
    await Promise.all(waiting)
    expect(bucket.isLimited).toBe(false)
  })

  it('lets those that wait pay the rest of their debt at the new rate', async () => {
    const bucket = new TokenBucket({ clock: Date.now }, { bytesPerSecond: 1_000 })
    const begun = performance.now()
    const waiting = bucket.take(10_000_000, { signal })
    bucket.setRate(200_000_000)
    await waiting
    expect(performance.now() - begun).toBeGreaterThan(40)
    const stop = new AbortController()
    const aborted = bucket.take(1e12, { signal: stop.signal })
    bucket.setRate(1_000)
    stop.abort()
    await expect(aborted).rejects.toThrow('aborted')
  })

  it('refuses a rate of nothing', () => {
    const bucket = new TokenBucket({ clock: Date.now }, { bytesPerSecond: 1 })
    expect(() => bucket.setRate(0)).toThrow(RangeError)
  })
})
