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

const MIB = 1024 * 1024
const plan = planChunks(25 * MIB) // 100 chunks of 256 KiB

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

function peer(id: string, has: (chunk: number) => boolean): SourceView {
  return {
    ...ORIGIN,
    id,
    kind: 'peer',
    has,
    gives: has,
    maxRuns: 2,
    chunksLeft: 1_000,
    bytesPerSecond: 50 * MIB,
    bytesReceived: 0,
  }
}

function leases(given: Partial<LeasesView> = {}): LeasesView {
  return {
    has: () => false,
    mayAsk: true,
    isOwing: false,
    members: 8,
    quietMs: 0,
    unheardMs: Number.POSITIVE_INFINITY,
    withoutLeave: 0,
    allWithoutLeave: 0,
    ownMs: Number.POSITIVE_INFINITY,
    lateMs: 0,
    ...given,
  }
}

function originRun(next: number, end: number): RunView {
  const rest = { arrivedBytes: 0, askedEnd: end, ageMs: 500, silentMs: 0, bytesPerSecond: MIB, isSpare: false }
  return { id: 1, source: 'origin', kind: 'origin', next, end, ...rest }
}

function hasPeerWith(sources: readonly SourceView[], index: number): boolean {
  return sources.some((source) => source.kind === 'peer' && source.has(index))
}

function steps({ stateOf = () => 'missing', sources = [ORIGIN], ...given }: Partial<Snapshot>): Step[] {
  return scheduleRuns({
    plan,
    missing: ChunkSet.of((given.plan ?? plan).count, (index) => stateOf(index) === 'missing'),
    stateOf,
    runs: [],
    sources,
    atPeers: ChunkSet.of((given.plan ?? plan).count, (index) => hasPeerWith(sources, index)),
    wanted: [],
    mayFetch: () => 'free',
    ageMs: 1_000,
    riskLeft: Number.POSITIVE_INFINITY,
    isWithResting: () => false,
    isReleased: () => true,
    isUndisputed: () => true,
    offset: 0,
    sparesLeft: 10,
    peersBytesPerSecond: 0,
    leases: leases(),
    ...given,
  })
}

function asksOf(all: readonly Step[]): Extract<Step, { type: 'ask-lease' }>[] {
  return all.filter((step) => step.type === 'ask-lease')
}

/** What the origin is asked for. */
function fetched(all: readonly Step[]): [number, number][] {
  return all.flatMap((step) => (step.type === 'start' && step.source === 'origin' ? [[step.from, step.to]] : []))
}

describe('scheduleRuns while there are agents to share the origin with', () => {
  it('fetches nothing from the origin before it has leave, and asks for that', () => {
    const all = steps({ wanted: [{ chunk: 0, waitedMs: 500 }] })
    expect(all).toEqual([{ type: 'ask-lease', gaps: [{ from: 0, to: 100 }], fetching: [], most: 4 }])
  })

  it('asks for nothing more while an ask waits for its answer', () => {
    expect(steps({ leases: leases({ mayAsk: false }) })).toEqual([])
  })

  it('fetches what it has leave for, neighbours in one request', () => {
    const has = (chunk: number): boolean => (chunk >= 5 && chunk < 8) || chunk === 20
    expect(fetched(steps({ leases: leases({ has }) }))).toEqual([
      [5, 8],
      [20, 21],
    ])
  })

  it('does not fetch what it has leave for and a peer has by now', () => {
    const has = (chunk: number): boolean => chunk === 5
    expect(fetched(steps({ sources: [ORIGIN, peer('a', has)], leases: leases({ has }) }))).toEqual([])
  })

  it('asks only for what no peer has, first for what a reader comes to next', () => {
    const sources = [ORIGIN, peer('a', (chunk) => chunk < 40)]
    const [ask] = asksOf(steps({ sources, wanted: [{ chunk: 60, waitedMs: 10 }] }))
    expect(ask?.gaps).toEqual([
      { from: 60, to: 100 },
      { from: 40, to: 60 },
    ])
  })

  it('asks for the next lease while the last chunk of one arrives, not before, and says what it is fetching', () => {
    const fast = { ...ORIGIN, bytesPerSecond: 8 * MIB }
    expect(asksOf(steps({ sources: [fast], runs: [originRun(3, 6)] }))).toEqual([])
    const [ask] = asksOf(steps({ sources: [fast], runs: [originRun(5, 6)] }))
    expect(ask).toMatchObject({ fetching: [{ from: 5, to: 6 }], most: 16 })
    expect(ask?.gaps).toEqual([
      { from: 0, to: 5 },
      { from: 6, to: 100 },
    ])
  })

  it('tells that leased chunks have arrived when there is nothing more to ask for', () => {
    const there = { stateOf: () => 'there' as const }
    expect(steps({ ...there, leases: leases({ isOwing: true }) })).toEqual([
      { type: 'ask-lease', gaps: [], fetching: [], most: 0 },
    ])
    expect(steps({ ...there, leases: leases({ isOwing: false }) })).toEqual([])
  })

  it('names no more ranges than a message holds', () => {
    const wide = { ...planChunks(512 * MIB), count: 1_000 }
    const [ask] = asksOf(steps({ plan: wide, sources: [ORIGIN, peer('a', (chunk) => chunk % 2 === 0)] }))
    expect(ask?.gaps).toHaveLength(64)
  })

  it('goes to the origin without leave when nothing has come for long and a reader waits', () => {
    const wanted = [{ chunk: 7, waitedMs: 3_500 }]
    const few = { mayAsk: false, members: 3 }
    expect(fetched(steps({ wanted, leases: leases({ ...few, quietMs: 2_900 }) }))).toEqual([])
    expect(fetched(steps({ wanted, leases: leases({ ...few, quietMs: 3_100 }) }))).toEqual([[7, 8]])
    expect(fetched(steps({ wanted, leases: leases({ ...few, quietMs: 9_000, withoutLeave: 7 }) }))).toEqual([[7, 15]])
    expect(fetched(steps({ leases: leases({ ...few, quietMs: 3_100 }) }))).toEqual([])
    expect(fetched(steps({ leases: leases({ ...few, quietMs: 10_100 }) }))).toEqual([[0, 1]])
  })

  it('fetches the chunk that a reader waits for too long, although others come all the time', () => {
    const waiting = (waitedMs: number) =>
      fetched(steps({ wanted: [{ chunk: 7, waitedMs }], leases: leases({ mayAsk: false }) }))
    expect(waiting(11_900)).toEqual([])
    expect(waiting(12_100)).toEqual([[7, 8]])
  })

  it('waits longer while many agents go on telling what they got, and in the beginning before they can', () => {
    const quiet = (quietMs: number, given: Partial<LeasesView>, ageMs = 20_000) =>
      fetched(
        steps({
          ageMs,
          sources: [ORIGIN, peer('a', (chunk) => chunk !== 7)],
          wanted: [{ chunk: 7, waitedMs: quietMs }],
          leases: leases({ mayAsk: false, quietMs, unheardMs: 500, ...given }),
        }),
      )
    expect(quiet(9_900, {})).toEqual([])
    expect(quiet(10_100, {})).toEqual([[7, 8]])
    expect(quiet(12_100, { lateMs: 1e9 })).toEqual([[7, 8]])
    expect(quiet(3_100, { unheardMs: 3_100 })).toEqual([[7, 8]])
    expect(quiet(3_100, { unheardMs: Infinity }, 3_100)).toEqual([])
    expect(quiet(3_100, { members: 3 })).toEqual([[7, 8]])
  })

  it('waits longer for others while this agent itself is late, at most four times as long', () => {
    const quiet = (quietMs: number, lateMs: number) =>
      fetched(
        steps({
          wanted: [{ chunk: 7, waitedMs: quietMs }],
          leases: leases({ mayAsk: false, members: 3, quietMs, lateMs }),
        }),
      )
    expect(quiet(5_900, 1_000)).toEqual([])
    expect(quiet(6_100, 1_000)).toEqual([[7, 8]])
    expect(quiet(11_900, 1e9)).toEqual([])
    expect(quiet(12_100, 1e9)).toEqual([[7, 8]])
  })

  it('needs no leave for a chunk about which only the origin’s word counts', () => {
    const stateOf = (chunk: number): 'held' | 'there' => (chunk === 3 ? 'held' : 'there')
    expect(fetched(steps({ stateOf, wanted: [{ chunk: 3, waitedMs: 100 }] }))).toEqual([[3, 4]])
  })

  it('lets the origin help few peers that are slow, and not many', () => {
    const wanted = [{ chunk: 0, waitedMs: 400 }]
    const slow = (id: string): SourceView => ({ ...peer(id, () => true), bytesPerSecond: MIB / 4 })
    const fast = { ...ORIGIN, bytesPerSecond: 2 * MIB }
    const few = steps({ sources: [fast, slow('a')], wanted, leases: leases({ members: 2 }) })
    expect(fetched(few)).not.toEqual([])
    const many = ['a', 'b', 'c', 'd'].map(slow)
    expect(fetched(steps({ sources: [fast, ...many], wanted, leases: leases({ members: 5 }) }))).toEqual([])
  })

  it('lets the origin help fewer at a time the more pull at once, each at a place of its own', () => {
    const wanted = [{ chunk: 0, waitedMs: 400 }]
    const fast = { ...ORIGIN, bytesPerSecond: 2 * MIB }
    const slow = peer('a', () => true)
    const help = (members: number, rate: number) =>
      fetched(
        steps({
          sources: [fast, { ...slow, bytesPerSecond: rate * MIB }],
          wanted,
          offset: 0.5,
          leases: leases({ members }),
        }),
      )
    expect(help(1, 0.4)[0]?.[0]).toBeLessThan(5)
    expect(help(2, 0.4)[0]?.[0]).toBe(50)
    expect(help(3, 0.4)).toEqual([])
    expect(help(3, 0.2)[0]?.[0]).toBe(50)
  })

  it('lets peers take over after the last lease before the origin helps', () => {
    const wanted = [{ chunk: 0, waitedMs: 400 }]
    const sources = [
      { ...ORIGIN, bytesPerSecond: 2 * MIB },
      { ...peer('a', () => true), bytesPerSecond: MIB / 8 },
    ]
    const help = (ownMs: number) => fetched(steps({ sources, wanted, leases: leases({ members: 3, ownMs }) }))
    expect(help(2_900)).toEqual([])
    expect(help(3_100)).not.toEqual([])
  })

  it('asks for no leave for what a peer has that is left alone for a moment, unless a reader waits for it', () => {
    const isWithResting = (chunk: number): boolean => chunk < 90
    expect(asksOf(steps({ isWithResting }))[0]?.gaps).toEqual([{ from: 90, to: 100 }])
    const wanted = [{ chunk: 7, waitedMs: 1_600 }]
    expect(asksOf(steps({ isWithResting, wanted }))[0]?.gaps).toEqual([
      { from: 7, to: 8 },
      { from: 90, to: 100 },
    ])
    const late = leases({ lateMs: 1_000 })
    expect(asksOf(steps({ isWithResting, wanted, leases: late }))[0]?.gaps).toEqual([{ from: 90, to: 100 }])
  })

  it('asks an origin without ranges for the whole, for it can’t be shared', () => {
    expect(fetched(steps({ sources: [{ ...ORIGIN, ignoresRange: true }] }))).toEqual([[0, 100]])
  })
})
