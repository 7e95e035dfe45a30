import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { digestOf } from '../../../../src/oci/digest.ts'
import { ChunkNews, type News } from '../../../../src/swarm/exchange/chunk-news.ts'

const digest = digestOf('sha256', createHash('sha256').update('layer').digest('hex'))

describe('news about chunks', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  it('are told together, the first soon and the others in steps as long as there are many to tell', async () => {
    const told: number[][] = []
    let stepMs = 20
    const tell = async (_: unknown, { indexes }: News): Promise<void> => {
      told.push([...indexes])
    }
    const news = new ChunkNews({ tell }, { firstMs: 1, stepMs: () => stepMs, lastMs: 0, enough: 1 })
    news.add(digest, [0, 1], new Map())
    await vi.advanceTimersByTimeAsync(1)
    expect(told).toEqual([[0, 1]])
    news.add(digest, [2], new Map())
    await vi.advanceTimersByTimeAsync(19)
    expect(told).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(told).toEqual([[0, 1], [2]])
    stepMs = 120
    await vi.advanceTimersByTimeAsync(20)
    for (let chunk = 0; chunk < 100; chunk++) {
      news.add(digest, [chunk], new Map())
      await vi.advanceTimersByTimeAsync(10)
    }
    await vi.advanceTimersByTimeAsync(500)
    expect(told.length).toBeLessThanOrEqual(2 + Math.ceil(1_000 / 120) + 1)
    expect(told.slice(2).flat()).toHaveLength(100)
    expect(vi.getTimerCount()).toBe(0)
  })
  it('of a few chunks wait for more of them, but not for long', async () => {
    const told: number[][] = []
    const tell = async (_: unknown, { indexes }: News): Promise<void> => {
      told.push([...indexes])
    }
    const news = new ChunkNews({ tell }, { firstMs: 1, stepMs: () => 20, lastMs: 500, enough: 3 })
    news.add(digest, [0], new Map())
    await vi.advanceTimersByTimeAsync(1)
    news.add(digest, [1], new Map())
    await vi.advanceTimersByTimeAsync(30)
    news.add(digest, [2], new Map())
    await vi.advanceTimersByTimeAsync(400)
    expect(told).toEqual([[0]])
    news.add(digest, [3], new Map())
    await vi.advanceTimersByTimeAsync(0)
    expect(told).toEqual([[0], [1, 2, 3]])
    news.add(digest, [4, 5, 6], new Map())
    await vi.advanceTimersByTimeAsync(20)
    expect(told.at(-1)).toEqual([4, 5, 6])
    news.add(digest, [7], new Map())
    await vi.advanceTimersByTimeAsync(499)
    expect(told).toHaveLength(3)
    await vi.advanceTimersByTimeAsync(1)
    expect(told.at(-1)).toEqual([7])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(vi.getTimerCount()).toBe(0)
  })
})
