import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SharedTicks } from '../../../src/util/shared-ticks.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('calls that are due at about the same time are made together, none too early', async () => {
  const ticks = new SharedTicks({ gridMs: 10 })
  const start = performance.now()
  const calls: [string, number][] = []
  for (const [name, ms] of [
    ['a', 11],
    ['b', 14],
    ['c', 19],
    ['d', 31],
  ] as const) {
    ticks.after(ms, () => void calls.push([name, performance.now() - start]))
  }
  expect(vi.getTimerCount()).toBeLessThan(4)
  await vi.advanceTimersByTimeAsync(60)
  expect(calls.map(([name]) => name)).toEqual(['a', 'b', 'c', 'd'])
  for (const [index, ms] of [11, 14, 19, 31].entries()) {
    const at = calls[index]?.[1] ?? 0
    expect(at).toBeGreaterThanOrEqual(ms - 1)
    expect(at).toBeLessThanOrEqual(ms + 11)
  }
})

it('a call made by another is due later', async () => {
  const ticks = new SharedTicks({ gridMs: 10 })
  let count = 0
  const again = (): void => {
    count += 1
    if (count < 3) ticks.after(10, again)
  }
  ticks.after(10, again)
  await vi.advanceTimersByTimeAsync(100)
  expect(count).toBe(3)
})
