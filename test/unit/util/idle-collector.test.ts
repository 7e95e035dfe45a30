import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { IdleCollector } from '../../../src/util/idle-collector.ts'

const CHECK_MS = 1_000

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

function world() {
  const state = { cpu: 0, collections: 0 }
  const collector = new IdleCollector(
    {
      collect: () => {
        state.collections += 1
      },
      cpuMicroseconds: () => state.cpu,
    },
    { checkMs: CHECK_MS },
  )
  collector.start()
  const pass = (busyMs: number): void => {
    state.cpu += busyMs * 1_000
    vi.advanceTimersByTime(CHECK_MS)
  }
  return { state, collector, pass }
}

it('collects once after the start, and again only after a busy time', () => {
  const { state, collector, pass } = world()
  pass(900)
  expect(state.collections).toBe(0)
  pass(1)
  expect(state.collections).toBe(1)
  pass(1)
  pass(30)
  pass(1)
  expect(state.collections).toBe(1)
  pass(200)
  pass(1)
  expect(state.collections).toBe(2)
  collector.stop()
})

it('waits while there is a little to do', () => {
  const { state, collector, pass } = world()
  pass(30)
  expect(state.collections).toBe(0)
  pass(0)
  expect(state.collections).toBe(1)
  collector.stop()
})

it('does nothing once it is stopped', () => {
  const { state, collector, pass } = world()
  collector.stop()
  pass(0)
  expect(state.collections).toBe(0)
})
