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
    const news = new ChunkNews({ tell }, { firstMs: 1, stepMs: () => stepMs })
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
})
