import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import { type RunView, type Snapshot, type Step, scheduleRuns } from '../../../src/blob/chunk-scheduler.ts'

const MIB = 1024 * 1024
const plan = planChunks(400 * MIB) // 100 chunks of 4 MiB

const SLOW = { ageMs: 1000, bytesPerSecond: MIB }

function snapshot(given: {
  missing?: (index: number) => boolean
  runs?: RunView[]
  wanted?: number[]
  maxRuns?: number
}): Snapshot {
  const runs = given.runs ?? []
  const missing = given.missing ?? ((index) => !runs.some((run) => run.next <= index && index < run.end))
  return { plan, isMissing: missing, runs, wanted: given.wanted ?? [], maxRuns: given.maxRuns ?? 4 }
}

describe('scheduleRuns', () => {
  it('fetches the whole blob in one run when nobody waits', () => {
    expect(scheduleRuns(snapshot({}))).toEqual([{ type: 'start', from: 0, to: 100 }])
  })

  it('starts nothing while a run covers what readers want', () => {
    expect(scheduleRuns(snapshot({ runs: [{ id: 1, next: 3, end: 100, ...SLOW }], wanted: [3, 4] }))).toEqual([])
  })

  it('gives a reader far ahead of the run a run of its own and shortens the first', () => {
    const steps = scheduleRuns(snapshot({ runs: [{ id: 1, next: 3, end: 100, ...SLOW }], wanted: [50] }))
    expect(steps).toEqual([
      { type: 'shorten', run: 1, to: 50 },
      { type: 'start', from: 50, to: 100 },
    ])
  })

  it('lets a reader wait for a run that is fast or has only begun', () => {
    const fast = { id: 1, next: 3, end: 100, ageMs: 1000, bytesPerSecond: 1000 * MIB }
    expect(scheduleRuns(snapshot({ runs: [fast], wanted: [50] }))).toEqual([])
    const young = { id: 1, next: 0, end: 100, ageMs: 50, bytesPerSecond: 0 }
    expect(scheduleRuns(snapshot({ runs: [young], wanted: [50] }))).toEqual([])
  })

  it('fetches only what is missing, up to what is there', () => {
    const steps = scheduleRuns(snapshot({ missing: (index) => index >= 10 && index < 20 }))
    expect(steps).toEqual([{ type: 'start', from: 10, to: 20 }])
  })

  it('does not start a run for a chunk that is on disk', () => {
    expect(scheduleRuns(snapshot({ missing: () => false, wanted: [7] }))).toEqual([])
  })

  it('keeps to the bound of runs and frees one that serves nobody', () => {
    const runs = [
      { id: 1, next: 0, end: 10, ...SLOW },
      { id: 2, next: 20, end: 30, ...SLOW },
    ]
    const steps = scheduleRuns(snapshot({ runs, wanted: [0, 60], maxRuns: 2 }))
    expect(steps).toEqual([{ type: 'shorten', run: 2, to: 21 }])
  })

  it('never asks for a chunk twice, nor for one that is not missing, and serves the first in need', () => {
    const small = planChunks(64 * 4 * MIB)
    const scenario = fc.record({
      present: fc.uniqueArray(fc.integer({ min: 0, max: small.count - 1 })),
      cuts: fc.uniqueArray(fc.integer({ min: 0, max: small.count }), { maxLength: 6 }),
      wanted: fc.uniqueArray(fc.integer({ min: 0, max: small.count - 1 }), { maxLength: 6 }),
    })
    fc.assert(
      fc.property(scenario, ({ present, cuts, wanted }) => {
        const sorted = cuts.toSorted((a, b) => a - b)
        const runs: RunView[] = []
        for (let i = 0; i + 1 < sorted.length; i += 2) {
          runs.push({ id: i, next: sorted[i] ?? 0, end: sorted[i + 1] ?? 0, ...SLOW })
        }
        const covered = (index: number): boolean => runs.some((run) => run.next <= index && index < run.end)
        const isMissing = (index: number): boolean => !present.includes(index) && !covered(index)
        const steps = scheduleRuns({ plan: small, isMissing, runs, wanted, maxRuns: 4 })
        const after = apply(runs, steps)
        for (let index = 0; index < small.count; index++) {
          const fetching = after.filter((run) => run.next <= index && index < run.end)
          expect(fetching.length).toBeLessThanOrEqual(1)
          const isNew = fetching[0] !== undefined && fetching[0].id < 0
          expect(!isNew || isMissing(index) || covered(index)).toBe(true)
        }
        expect(after.length).toBeLessThanOrEqual(Math.max(4, runs.length))
        const [first] = wanted
        const mustServe = first !== undefined && isMissing(first) && runs.length < 4
        const isServed = after.some((run) => first !== undefined && run.next <= first && first < run.end)
        expect(!mustServe || isServed).toBe(true)
        const anythingMissing = Array.from({ length: small.count }, (_, index) => index).some(isMissing)
        expect(anythingMissing && after.length === 0).toBe(false)
      }),
    )
  })
})

function apply(runs: readonly RunView[], steps: readonly Step[]): RunView[] {
  let after = [...runs]
  let fresh = 0
  for (const step of steps) {
    if (step.type === 'start') after.push({ id: --fresh, next: step.from, end: step.to, ...SLOW })
    else after = after.map((run) => (run.id === step.run ? { ...run, end: step.to } : run))
  }
  return after
}
