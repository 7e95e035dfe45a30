import { expect, test } from 'vitest'
import type { HostRole } from '../../../scripts/fleet/host-roles.ts'
import { figuresOf, type HostOutcome, type RunObservation, worstOf } from '../../../scripts/fleet/run-figures.ts'

const IMAGE = 1000
const START = 1_000_000

function outcome(
  part: HostRole['part'],
  seconds: number | undefined,
  init: { at?: number; errors?: string[] } = {},
): HostOutcome {
  const plannedStart = START + (init.at ?? 0) * 1000
  const errors = init.errors ?? []
  const role = { name: 'h', zone: 0, rate: 1, part, startMs: 0 }
  if (seconds === undefined) return { role, plannedStart, pull: undefined }
  const bytes = errors.length > 0 ? 0 : IMAGE
  const endedAt = plannedStart + seconds * 1000
  return {
    role,
    plannedStart,
    pull: { startedAt: plannedStart + 2, firstByteAt: plannedStart + 100, layers: [], endedAt, bytes, errors },
  }
}

function seen(hosts: readonly HostOutcome[], more: Partial<RunObservation> = {}): RunObservation {
  return {
    imageBytes: IMAGE,
    boundSeconds: 10,
    hosts,
    originSent: 1050,
    originSentOnWire: 1070,
    hostsReceived: 1020 * hosts.length,
    borders: [],
    controlBytes: [5, 10],
    cpuSeconds: 2,
    peakMemory: [100, 300, 200],
    machineShare: 0.5,
    ...more,
  }
}

test('times count from each host’s own start, over the bound', () => {
  const figures = figuresOf(
    seen([outcome('measured', 10), outcome('measured', 11, { at: 5 }), outcome('measured', 12)]),
  )
  expect(figures).toMatchObject({ p50: 1.1, last: 1.2, firstByteSeconds: 0.1, failed: 0, lateMs: 2 })
})

test('bytes count in copies of the image', () => {
  const figures = figuresOf(seen([outcome('measured', 10), outcome('measured', 10)], { borders: [900, 1300] }))
  expect(figures).toMatchObject({
    copies: 1.05,
    wireCopies: 1.07,
    borderCopies: 1.3,
    control: 0.01,
    peakMemoryBytes: 300,
  })
  expect(figures.excess).toBeCloseTo(0.02, 10)
  expect(figures.cpuSecondsPerGiB).toBeCloseTo(2 / (2000 / 2 ** 30), 3)
})

test('slow and killed hosts have no part in the times', () => {
  const figures = figuresOf(seen([outcome('measured', 10), outcome('slow', 99), outcome('killed', undefined)]))
  expect(figures).toMatchObject({ p50: 1, last: 1, failed: 0 })
  expect(figures.excess).toBeUndefined()
})

test('a pull with an error, or without an end, has failed; a killed one has not', () => {
  const hosts = [
    outcome('measured', 10),
    outcome('measured', 1, { errors: ['cut'] }),
    outcome('slow', 1, { errors: ['cut'] }),
    outcome('measured', undefined),
    outcome('killed', undefined),
  ]
  expect(figuresOf(seen(hosts))).toMatchObject({ last: 1, failed: 3 })
})

test('there are no times when every pull has failed', () => {
  const figures = figuresOf(seen([outcome('measured', undefined)], { peakMemory: [], controlBytes: [] }))
  expect(figures).toMatchObject({ p50: undefined, last: undefined, failed: 1, control: undefined })
  expect(figures.cpuSecondsPerGiB).toBeUndefined()
})

test('the worst of several runs is the worst of each figure', () => {
  const one = figuresOf(seen([outcome('measured', 10)], { originSent: 2000 }))
  const other = figuresOf(seen([outcome('measured', 20)], { originSent: 1000 }))
  const failed = figuresOf(seen([outcome('measured', undefined)]))
  expect(worstOf([one, other, failed])).toMatchObject({ last: 2, copies: 2, failed: 1 })
})
