import { expect, test } from 'vitest'
import { cpuSecondsOf, machineTimeOf, peakMemoryOf, readUsage } from '../../../scripts/fleet/process-usage.ts'

test('CPU time is that of the process and of its children that have ended', () => {
  const stat = '4711 (node (a) b) S 1 4711 4711 0 -1 4194304 1 2 3 4 150 50 30 20 20 0 11 0 100 200 300'
  expect(cpuSecondsOf(stat)).toBe(2.5)
})

test('peak memory is in bytes', () => {
  expect(peakMemoryOf('VmPeak:\t  999 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n')).toBe(2048 * 1024)
})

test('a machine that waits for its disk is idle, one whose time is taken away is not', () => {
  const text = 'cpu  10 0 20 60 5 1 2 2 0 0\ncpu0 10 0 20 60 5 1 2 2 0 0\n'
  expect(machineTimeOf(text)).toEqual({ all: 100, busy: 35 })
})

test('there is nothing to read of a process that is gone', () => {
  expect(readUsage(process.pid)?.peakMemory).toBeGreaterThan(0)
  expect(readUsage(2 ** 30)).toBeUndefined()
})
