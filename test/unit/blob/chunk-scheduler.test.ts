import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import {
  type LeasesView,
  type RunView,
  type Snapshot,
  type SourceView,
  type Step,
  scheduleRuns,
} from '../../../src/blob/chunk-scheduler.ts'
import { ChunkSet } from '../../../src/blob/chunk-set.ts'
import { isSilent } from '../../../src/blob/late-policy.ts'

const MIB = 1024 * 1024
const plan = planChunks(400 * MIB) // 100 chunks of 4 MiB

const ORIGIN: SourceView = {
  id: 'origin',
  kind: 'origin',
  has: () => true,
  gives: () => true,
  maxRuns: 4,
  chunksLeft: Number.POSITIVE_INFINITY,
  bytesPerSecond: undefined,
  bytesReceived: 100 * MIB,
  ignoresRange: false,
  isSlow: false,
}

function peer(id: string, given: Partial<SourceView> = {}): SourceView {
  return {
    id,
    kind: 'peer',
    has: () => true,
    gives: given.has ?? (() => true),
    maxRuns: 2,
    chunksLeft: 1_000,
    bytesPerSecond: undefined,
    bytesReceived: 0,
    ignoresRange: false,
    isSlow: false,
    ...given,
  }
}

function run(id: number, next: number, end: number, given: Partial<RunView> = {}): RunView {
  const slow = { arrivedBytes: 0, ageMs: 1000, bytesPerSecond: MIB, silentMs: 0 }
  return { id, source: 'origin', kind: 'origin', isSpare: false, next, end, askedEnd: end, ...slow, ...given }
}

function peerRun(id: number, next: number, end: number, given: Partial<RunView> = {}): RunView {
  return run(id, next, end, { source: 'a', kind: 'peer', ageMs: 100, bytesPerSecond: 10 * MIB, ...given })
}

type Given = Partial<Omit<Snapshot, 'wanted' | 'stateOf' | 'missing'>> & {
  missing?: (index: number) => boolean
  held?: (index: number) => boolean
  wanted?: number[]
  waitedMs?: number
}

function snapshot({
  missing = () => true,
  held = () => false,
  wanted = [],
  waitedMs = 0,
  sources = [ORIGIN],
  ...given
}: Given): Snapshot {
  const { count } = given.plan ?? plan
  const isAtPeers = (index: number): boolean => sources.some((source) => source.kind === 'peer' && source.has(index))
  return {
    plan,
    missing: ChunkSet.of(count, (index) => missing(index) && !held(index)),
    stateOf: (index) => (held(index) ? 'held' : missing(index) ? 'missing' : 'there'),
    runs: [],
    sources,
    atPeers: ChunkSet.of(count, isAtPeers),
    wanted: wanted.map((chunk) => ({ chunk, waitedMs })),
    mayFetch: () => 'free',
    ageMs: 1_000,
    riskLeft: Number.POSITIVE_INFINITY,
    leases: undefined,
    sparesLeft: 10,
    peersBytesPerSecond: 1_000 * MIB,
    isWithResting: () => false,
    isReleased: () => true,
    isUndisputed: () => true,
    offset: 0,
    ...given,
  }
}

const start = (source: string, from: number, to: number, askedEnd = to, isSpare = false): Step => {
  return { type: 'start', source, from, to, askedEnd, isSpare }
}

describe('scheduleRuns with the origin alone', () => {
  it('fetches the whole blob in one run when nobody waits', () => {
    expect(scheduleRuns(snapshot({}))).toEqual([start('origin', 0, 100)])
  })

  it('starts nothing while a run covers what readers want', () => {
    expect(scheduleRuns(snapshot({ runs: [run(1, 3, 100)], wanted: [3, 4] }))).toEqual([])
  })

  it('gives a reader far ahead of the run a run of its own and shortens the first', () => {
    const steps = scheduleRuns(snapshot({ runs: [run(1, 3, 100)], wanted: [50] }))
    expect(steps).toEqual([{ type: 'resize', run: 1, to: 50 }, start('origin', 50, 100)])
  })

  it('lets a reader wait for a run that is fast or has only begun', () => {
    const fast = run(1, 3, 100, { bytesPerSecond: 1000 * MIB })
    expect(scheduleRuns(snapshot({ runs: [fast], wanted: [50] }))).toEqual([])
    const young = run(1, 0, 100, { ageMs: 50, bytesPerSecond: 0 })
    expect(scheduleRuns(snapshot({ runs: [young], wanted: [50] }))).toEqual([])
  })

  it('fetches only what is missing, up to what is there', () => {
    const steps = scheduleRuns(snapshot({ missing: (index) => index >= 10 && index < 20 }))
    expect(steps).toEqual([start('origin', 10, 20)])
  })

  it('does not start a run for a chunk that is on disk', () => {
    expect(scheduleRuns(snapshot({ missing: () => false, wanted: [7] }))).toEqual([])
  })

  it('keeps to the bound of runs and frees one that serves nobody', () => {
    const runs = [run(1, 0, 10), run(2, 20, 30)]
    const steps = scheduleRuns(snapshot({ runs, wanted: [0, 60], sources: [{ ...ORIGIN, maxRuns: 2 }] }))
    expect(steps).toEqual([{ type: 'resize', run: 2, to: 21 }])
  })

  it('reads again from the origin what readers may not have on peers’ word, and no further', () => {
    const steps = scheduleRuns(
      snapshot({ missing: () => false, held: (index) => index >= 5 && index < 9, wanted: [5] }),
    )
    expect(steps).toEqual([start('origin', 5, 9)])
  })
})

describe('scheduleRuns with peers', () => {
  it('gives a reader’s chunk to a peer when that is enough, and leaves the origin alone', () => {
    const steps = scheduleRuns(snapshot({ sources: [ORIGIN, peer('a'), peer('b')], wanted: [7] }))
    expect(steps[0]).toEqual(start('a', 7, 8))
    expect(steps.some((step) => step.type === 'start' && step.source === 'origin')).toBe(false)
    expect(starts(steps)).toHaveLength(4)
  })

  it('has the origin serve the reader where peers say different things, and peers the rest', () => {
    const steps = scheduleRuns(
      snapshot({
        sources: [ORIGIN, peer('a')],
        wanted: [0],
        isReleased: () => false,
        isUndisputed: () => false,
        offset: 0.5,
      }),
    )
    expect(steps[0]).toEqual(start('origin', 0, 1))
    expect(starts(steps).slice(1)).toEqual([start('a', 50, 51), start('a', 51, 52)])
  })

  it('has a peer bring what a reader waits for, also when its word is all there is', () => {
    const steps = scheduleRuns(snapshot({ sources: [ORIGIN, peer('a')], wanted: [0], isReleased: () => false }))
    expect(steps[0]).toEqual(start('a', 0, 1))
    expect(starts(steps).filter(({ source }) => source === 'origin')).toEqual([])
  })

  it('sizes a request by the rate of the peer, within bounds', () => {
    const sources = [peer('fast', { bytesPerSecond: 1000 * MIB }), peer('slow', { bytesPerSecond: MIB })]
    const lengths = new Map(
      starts(scheduleRuns(snapshot({ sources }))).map(({ source, from, to }) => [source, to - from]),
    )
    expect(Object.fromEntries(lengths)).toEqual({ fast: 4, slow: 1 })
  })

  it('asks another peer for what one gives to others just now, and nobody else where it is the only one', () => {
    const crowded = peer('a', { gives: (index) => index !== 0 })
    const has = (index: number): boolean => index === 0
    const both = scheduleRuns(snapshot({ sources: [ORIGIN, crowded, peer('b', { has })], wanted: [0] }))
    expect(starts(both).find(({ from }) => from === 0)).toMatchObject({ source: 'b' })
    const alone = starts(scheduleRuns(snapshot({ sources: [ORIGIN, crowded] })))
    expect(alone.length).toBeGreaterThan(0)
    expect(alone.filter(({ source, from }) => source === 'origin' || from === 0)).toEqual([])
  })

  it('asks the origin for what no peer has', () => {
    const some = peer('a', { has: (index) => index < 10 })
    const steps = starts(scheduleRuns(snapshot({ sources: [ORIGIN, some] })))
    expect(steps.find(({ source }) => source === 'origin')).toMatchObject({ from: 10, to: 11, askedEnd: 11 })
  })

  it('has the origin help where a reader waits and the peers are slower, and only there', () => {
    const helps = (given: { rate?: number; wanted?: number[]; ageMs?: number; received?: number; peers?: number }) => {
      const { rate = MIB, wanted = [7], ageMs = 1_000, received = 100 * MIB, peers = 1 } = given
      const origin = { ...ORIGIN, bytesPerSecond: 40 * MIB, bytesReceived: received }
      const slow = Array.from({ length: peers }, (_, at) => peer(`p${at}`, { bytesPerSecond: rate, isSlow: false }))
      const steps = starts(scheduleRuns(snapshot({ sources: [origin, ...slow], wanted, ageMs })))
      return steps.some(({ source, to }) => source === 'origin' && to <= 100)
    }
    expect(helps({})).toBe(true)
    expect(helps({ rate: 40 * MIB })).toBe(false)
    expect(helps({ peers: 40 })).toBe(false)
    expect(helps({ rate: 2 * MIB, peers: 6 })).toBe(false)
    expect(helps({ wanted: [] })).toBe(false)
    expect(helps({ ageMs: 100 })).toBe(false)
    // What is thought of its rate rests on first bytes.
    expect(helps({ rate: 40 * MIB, received: MIB / 2 })).toBe(true)
    expect(helps({ rate: 40 * MIB, received: MIB / 2, peers: 4 })).toBe(false)
  })

  it('ends the origin’s run at the next chunk when peers have what is needed and are as fast', () => {
    const sources = [ORIGIN, peer('a', { bytesPerSecond: 10 * MIB })]
    const steps = scheduleRuns(snapshot({ sources, runs: [run(1, 4, 100, { bytesPerSecond: 2 * MIB })] }))
    expect(steps[0]).toEqual({ type: 'resize', run: 1, to: 5 })
  })

  it('goes on with the origin while peers are slower, a little ahead of the rest', () => {
    const sources = [ORIGIN, peer('a', { bytesPerSecond: MIB })]
    const runs = [run(1, 4, 6, { askedEnd: 100, bytesPerSecond: 50 * MIB })]
    expect(scheduleRuns(snapshot({ sources, runs }))[0]).toEqual({ type: 'resize', run: 1, to: 8 })
  })

  it('believes signers that nothing has confirmed with no more than it may risk', () => {
    const sources = [ORIGIN, peer('a'), peer('b'), peer('c')]
    const steps = scheduleRuns(snapshot({ sources, mayFetch: () => 'risky', riskLeft: 2, isReleased: () => false }))
    expect(starts(steps).filter(({ source }) => source !== 'origin')).toHaveLength(2)
  })

  it('asks a peer for no more chunks than it may have unchecked', () => {
    const fast = { bytesPerSecond: 100 * MIB }
    const asked = (chunksLeft: number): number => {
      const steps = scheduleRuns(snapshot({ sources: [peer('a', { ...fast, chunksLeft })] }))
      return steps.reduce((sum, step) => sum + (step.type === 'start' ? step.to - step.from : 0), 0)
    }
    expect([asked(0), asked(1), asked(3)]).toEqual([0, 1, 3])
    expect(asked(1_000)).toBeGreaterThan(3)
  })

  it('leaves a peer that has gone silent', () => {
    const runs = [peerRun(1, 3, 5, { silentMs: 3_000 })]
    expect(scheduleRuns(snapshot({ sources: [peer('a')], runs }))[0]).toEqual({ type: 'give-up', run: 1 })
  })

  it.each([
    ['sooner when a reader waits for it', { wanted: [3] }, 10 * MIB, 1_500],
    ['later where all of them are slow', { wanted: [3], peersBytesPerSecond: 64 * 1024 }, 64 * 1024, 2_000],
    ['at most after six seconds', { leases: { lateMs: 1e9 } as LeasesView }, 1, 6_000],
  ])('leaves a silent peer %s', (_how, given, bytesPerSecond, afterMs) => {
    const gaveUp = (silentMs: number) =>
      scheduleRuns(
        snapshot({
          sources: [peer('a'), peer('b')],
          runs: [peerRun(1, 3, 5, { ageMs: 1e12, silentMs, bytesPerSecond })],
          waitedMs: 100,
          ...given,
        }),
      ).some(({ type }) => type === 'give-up')
    expect([gaveUp(afterMs - 1), gaveUp(afterMs)]).toEqual([false, true])
  })

  it('asks no peer for a late chunk that was asked before and has never brought anything', () => {
    const late = { ageMs: 1_000, silentMs: 500, source: 'a' }
    const mute = { ageMs: 300, silentMs: 300, bytesPerSecond: 0, source: 'b' }
    const peers = [peer('a'), peer('b', { bytesPerSecond: undefined, bytesReceived: 0 })]
    const sources = [...peers, peer('c', { bytesPerSecond: undefined, bytesReceived: 0 })]
    const missing = (index: number): boolean => index === 3 || index === 9
    const spares = (given: readonly SourceView[]) =>
      scheduleRuns(
        snapshot({
          runs: [peerRun(1, 3, 4, late), peerRun(2, 9, 10, mute)],
          wanted: [3],
          waitedMs: 600,
          missing,
          sources: given,
        }),
      ).flatMap((step) => (step.type === 'start' && step.isSpare && step.from === 3 ? [step.source] : []))
    expect(spares(peers)).toEqual([])
    expect(spares(sources)).toEqual(['c'])
  })

  it('asks a second source for one late chunk that a reader waits for, and for no more than two at a time', () => {
    const late = { ageMs: 1_000, silentMs: 500 }
    const runs = [peerRun(1, 3, 4, late), peerRun(2, 8, 9, late), peerRun(3, 20, 21, late)]
    const sources = [ORIGIN, peer('a', { maxRuns: 3 }), peer('b', { has: (index) => index < 25 })]
    const missing = (index: number): boolean => runs.some(({ next }) => next === index)
    const steps = scheduleRuns(snapshot({ sources, runs, missing, wanted: [3, 8, 20], waitedMs: 400 }))
    expect(steps).toEqual([start('b', 3, 4, 4, true), start('b', 8, 9, 9, true)])
  })

  it('asks for no slow chunk a second time where the other source is no faster, or where that was done often', () => {
    const slow = { ageMs: 3_000, bytesPerSecond: 100 * 1024 }
    const spares = (rate: number, given: Partial<RunView> = {}, sparesLeft = 1) =>
      scheduleRuns(
        snapshot({
          sources: [peer('a', { bytesPerSecond: 100 * 1024 }), peer('b', { bytesPerSecond: rate })],
          runs: [peerRun(1, 3, 4, { ...slow, ...given })],
          missing: (index) => index === 3,
          wanted: [3],
          waitedMs: 2_000,
          sparesLeft,
        }),
      ).filter((step) => step.type === 'start' && step.isSpare)
    expect(spares(120 * 1024)).toEqual([])
    expect(spares(MIB)).toHaveLength(1)
    // most of it is here
    expect(spares(MIB, { arrivedBytes: 3.9 * MIB })).toEqual([])
    expect(spares(MIB, {}, 0)).toEqual([])
    expect(spares(120 * 1024, { silentMs: 2_000 }, 0)).toHaveLength(1)
    // too young to tell
    expect(spares(MIB, { ageMs: 500 })).toEqual([])
  })

  it.each([
    ['a fast one', { bytesPerSecond: 10 * MIB }, 0, 0, 400],
    ['one that comes slowly', { bytesPerSecond: 64 * 1024 }, 0, 0, 1_000],
    ['one that has brought nothing, as fast as the others are', { bytesPerSecond: 0 }, 64 * 1024, 0, 1_000],
    ['one that has brought nothing, where no other has', { bytesPerSecond: 0 }, 0, 0, 400],
    ['one that comes very slowly', { bytesPerSecond: 1 }, 0, 0, 1_500],
    ['any, while this agent is late', { bytesPerSecond: 10 * MIB }, 0, 100, 700],
  ])('takes %s for silent after a while', (_what, given, usualRate, lateMs, afterMs) => {
    const view = peerRun(1, 3, 4, { ageMs: 1e12, ...given })
    const facts = { runs: [view], peersBytesPerSecond: usualRate, leases: { lateMs } as LeasesView }
    expect(isSilent({ ...view, silentMs: afterMs - 1 }, facts)).toBe(false)
    expect(isSilent({ ...view, silentMs: afterMs }, facts)).toBe(true)
  })

  it('divides what a slow peer would end last with', () => {
    const runs = [peerRun(1, 90, 98, { ageMs: 1_000, bytesPerSecond: 2 * MIB })]
    const missing = (index: number): boolean => index >= 90 && index < 98
    const sources = [peer('a'), peer('b', { bytesPerSecond: 40 * MIB })]
    const steps = scheduleRuns(snapshot({ sources, runs, missing }))
    expect(steps[0]).toEqual({ type: 'resize', run: 1, to: 94 })
    expect(starts(steps)[0]).toMatchObject({ source: 'b', from: 94 })
  })

  it('looks at each chunk of a huge blob a few times only, however many peers there are', () => {
    const huge = planChunks(16 * 1024 * MIB)
    let looks = 0
    const look = <T>(answer: T): T => {
      looks += 1
      return answer
    }
    const sources = [ORIGIN, ...Array.from({ length: 24 }, (_, at) => peer(`p${at}`))]
    const state = snapshot({ sources, wanted: [0] })
    const steps = scheduleRuns({
      ...state,
      plan: huge,
      stateOf: () => look('missing' as const),
      mayFetch: () => look('free' as const),
      isUndisputed: () => look(true),
    })
    expect(starts(steps)).toHaveLength(48)
    expect(looks).toBeLessThan(6 * huge.count)
  })

  it('begins at another place for each agent when nobody waits', () => {
    const froms = [0.1, 0.6].map((offset) => starts(scheduleRuns(snapshot({ sources: [peer('a')], offset })))[0]?.from)
    expect(froms).toEqual([10, 60])
  })
})

describe('scheduleRuns, whatever there is', () => {
  const small = planChunks(40 * 256 * 1024)
  const index = fc.integer({ min: 0, max: small.count - 1 })
  const scenario = fc.record({
    present: fc.uniqueArray(index),
    held: fc.uniqueArray(index, { maxLength: 5 }),
    cuts: fc.uniqueArray(fc.integer({ min: 0, max: small.count }), { maxLength: 8 }),
    ofPeers: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    silent: fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 4, maxLength: 4 }),
    wanted: fc.uniqueArray(index, { maxLength: 6 }),
    waitedMs: fc.integer({ min: 0, max: 1_000 }),
    hasOrigin: fc.boolean(),
    peers: fc.array(
      fc.record({
        has: fc.uniqueArray(index),
        rate: fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
        isSlow: fc.boolean(),
      }),
      { maxLength: 4 },
    ),
    may: fc.array(fc.constantFrom('free' as const, 'risky' as const, 'no' as const), {
      minLength: small.count,
      maxLength: small.count,
    }),
    released: fc.uniqueArray(index),
    riskLeft: fc.integer({ min: 0, max: 3 }),
    offset: fc.double({ min: 0, max: 0.999, noNaN: true }),
  })

  it('asks nobody for what it has not, keeps to the bounds, and leaves nobody idle who is needed', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const peers = given.peers.map(({ has, rate, isSlow }, at) =>
          peer(`p${at}`, { has: (chunk) => has.includes(chunk), bytesPerSecond: rate, isSlow }),
        )
        const sources = given.hasOrigin ? [ORIGIN, ...peers] : peers
        const sorted = given.cuts.toSorted((a, b) => a - b)
        const runs: RunView[] = []
        for (let i = 0; i + 1 < sorted.length; i += 2) {
          const [next = 0, end = 0] = [sorted[i], sorted[i + 1]]
          const silentMs = given.silent[i / 2] ?? 0
          if (given.ofPeers[i / 2] !== true) runs.push(run(i, next, end, { silentMs }))
          else runs.push(peerRun(i, next, end, { source: `p${(i / 2) % 2}`, silentMs }))
        }
        const covers = (one: { next: number; end: number }, chunk: number): boolean =>
          one.next <= chunk && chunk < one.end
        const isTaken = (chunk: number): boolean => runs.some((one) => covers(one, chunk))
        const held = (chunk: number): boolean => given.held.includes(chunk) && !isTaken(chunk)
        const missing = (chunk: number): boolean => isTaken(chunk) || !(held(chunk) || given.present.includes(chunk))
        const { wanted, waitedMs, riskLeft, offset } = given
        const mayFetch = (chunk: number): 'free' | 'risky' | 'no' => given.may[chunk] ?? 'no'
        const isReleased = (chunk: number): boolean => given.released.includes(chunk)
        const state = snapshot({
          plan: small,
          missing,
          held,
          runs,
          sources,
          wanted,
          waitedMs,
          mayFetch,
          riskLeft,
          offset,
          isReleased,
        })
        const steps = scheduleRuns(state)
        const after = apply(runs, steps)

        for (let chunk = 0; chunk < small.count; chunk++) {
          expect(after.filter((one) => !one.isSpare && covers(one, chunk)).length).toBeLessThanOrEqual(1)
          expect(after.filter((one) => one.isSpare && covers(one, chunk)).length).toBeLessThanOrEqual(1)
        }
        let risked = 0
        for (const { source, from, to, askedEnd, isSpare } of starts(steps)) {
          expect(from < to && to <= askedEnd && askedEnd <= small.count).toBe(true)
          const asked = sources.find(({ id }) => id === source)
          for (let chunk = from; chunk < to; chunk++) {
            expect(asked?.has(chunk)).toBe(true)
            expect(missing(chunk) || held(chunk)).toBe(true)
            if (asked?.kind !== 'peer') continue
            expect(mayFetch(chunk)).not.toBe('no')
            expect(missing(chunk)).toBe(true)
            if (!isSpare && mayFetch(chunk) === 'risky') risked += 1
          }
        }
        expect(risked).toBeLessThanOrEqual(riskLeft)
        expect(after.filter((one) => one.isSpare).length).toBeLessThanOrEqual(2)
        for (const { id, maxRuns } of sources) {
          const [before, now] = [runs, after].map((all) => all.filter(({ source }) => source === id).length)
          expect(now).toBeLessThanOrEqual(Math.max(maxRuns, before ?? 0))
        }
        const nobodyWorks = after.length === 0
        const isNeeded = Array.from({ length: small.count }, (_, chunk) => chunk).some(
          (chunk) =>
            missing(chunk) && (given.hasOrigin || (mayFetch(chunk) === 'free' && peers.some((one) => one.has(chunk)))),
        )
        expect(isNeeded && nobodyWorks).toBe(false)
      }),
      { numRuns: 300 },
    )
  })
})

type Start = Extract<Step, { type: 'start' }>

function starts(steps: readonly Step[]): Start[] {
  return steps.filter((step) => step.type === 'start')
}

function apply(runs: readonly RunView[], steps: readonly Step[]): RunView[] {
  let after = [...runs]
  let fresh = 0
  for (const step of steps) {
    if (step.type === 'start') {
      const { source, from, to, askedEnd, isSpare } = step
      after.push(run(--fresh, from, to, { source, askedEnd, isSpare, kind: source === 'origin' ? 'origin' : 'peer' }))
    } else if (step.type === 'resize')
      after = after.map((one) => (one.id === step.run ? { ...one, end: step.to } : one))
  }
  return after
}
