import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { OwnLateness, patience } from '../../../src/util/lateness.ts'

/** A process whose timers fire when a test says so. */
const clock = { now: 1_000 }

beforeEach(() => {
  vi.useFakeTimers()
  clock.now = 1_000
})
afterEach(() => {
  vi.useRealTimers()
})

/** Timers that are due fire `late` milliseconds after their time. */
function pass(ms: number, late = 0): void {
  clock.now += ms + late
  vi.advanceTimersByTime(ms)
}

it('a process whose timers fire in time is not late', () => {
  const lateness = new OwnLateness({ clock: () => clock.now })
  for (let turn = 0; turn < 20; turn++) {
    expect(lateness.ms).toBe(0)
    pass(100, 5)
  }
  lateness.stop()
})

it('timers that fire late are remembered, and forgotten by half every two seconds', () => {
  const lateness = new OwnLateness({ clock: () => clock.now })
  expect(lateness.ms).toBe(0)
  pass(100, 900)
  expect(lateness.ms).toBeCloseTo(900)
  for (let turn = 0; turn < 20; turn++) pass(100)
  expect(lateness.ms).toBeCloseTo(450)
  for (let turn = 0; turn < 20; turn++) pass(100)
  expect(lateness.ms).toBeCloseTo(225)
  lateness.stop()
})

it('a timer that is due and has not fired counts already', () => {
  const lateness = new OwnLateness({ clock: () => clock.now })
  expect(lateness.ms).toBe(0)
  clock.now += 2_100
  expect(lateness.ms).toBe(2_000)
  lateness.stop()
})

it('a smaller delay does not hide a larger one before it', () => {
  const lateness = new OwnLateness({ clock: () => clock.now })
  expect(lateness.ms).toBe(0)
  pass(100, 2_000)
  pass(100, 50)
  expect(lateness.ms).toBeGreaterThan(1_800)
  lateness.stop()
})

it('no timer runs when nobody has asked for a while, nor before anybody did', () => {
  const lateness = new OwnLateness({ clock: () => clock.now })
  expect(vi.getTimerCount()).toBe(0)
  expect(lateness.ms).toBe(0)
  expect(vi.getTimerCount()).toBe(1)
  for (let turn = 0; turn < 60; turn++) pass(100)
  expect(vi.getTimerCount()).toBe(0)
  expect(lateness.ms).toBe(0)
  expect(vi.getTimerCount()).toBe(1)
  lateness.stop()
  expect(vi.getTimerCount()).toBe(0)
})

it('patience grows with lateness, and has an end', () => {
  expect(patience(3_000, 0)).toBe(3_000)
  expect(patience(3_000, 500)).toBe(4_500)
  expect(patience(3_000, 60_000)).toBe(12_000)
  expect(patience(3_000, -5)).toBe(3_000)
})
