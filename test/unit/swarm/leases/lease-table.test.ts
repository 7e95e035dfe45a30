import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ChunkRange, Lease } from '../../../../src/blob/ports.ts'
import { chunksIn, rangesOf } from '../../../../src/swarm/leases/chunk-ranges.ts'
import { LEASE_LIMITS, type LeaseLimits } from '../../../../src/swarm/leases/lease-limits.ts'
import { type LeaseAnswer, LeaseTable } from '../../../../src/swarm/leases/lease-table.ts'

/** Agents that keep their books right, and a clock. */
class Table {
  readonly table: LeaseTable
  readonly count: number
  now = 1_000_000
  /** Chunks that each agent fetches. */
  readonly fetching = new Map<string, Set<number>>()
  /** What every agent knows to be had. */
  readonly known = new Set<number>()
  readonly answers: LeaseAnswer[] = []

  /** @param limits those that a test rests on */
  constructor(count: number, limits: Partial<LeaseLimits> = {}) {
    this.count = count
    this.table = new LeaseTable({ count, limits: { ...LEASE_LIMITS, ...limits } })
  }

  ask(agent: string, given: { most?: number; gaps?: readonly ChunkRange[]; fetching?: readonly ChunkRange[] } = {}) {
    const fetching = this.fetchingOf(agent)
    const gaps = given.gaps ?? rangesOf(this.all().filter((chunk) => !this.known.has(chunk) && !fetching.has(chunk)))
    const ask = { size: 0, gaps, fetching: given.fetching ?? rangesOf(fetching), most: given.most ?? 8 }
    return this.take(this.table.ask(agent, ask, this.now))
  }

  /** The agent got it, and everybody hears of it at once. */
  bring(agent: string, chunk: number): void {
    this.fetchingOf(agent).delete(chunk)
    this.known.add(chunk)
  }

  pass(ms: number): LeaseAnswer[] {
    const before = this.answers.length
    for (let left = ms; left > 0; left -= 50) {
      this.now += Math.min(50, left)
      this.take(this.table.tick(this.now))
    }
    return this.answers.slice(before)
  }

  take(answers: readonly LeaseAnswer[]): readonly LeaseAnswer[] {
    this.answers.push(...answers)
    for (const { agent, lease } of answers) for (const chunk of chunksOf(lease)) this.fetchingOf(agent).add(chunk)
    return answers
  }

  fetchingOf(agent: string): Set<number> {
    const known = this.fetching.get(agent) ?? new Set()
    this.fetching.set(agent, known)
    return known
  }

  all(): number[] {
    return Array.from({ length: this.count }, (_, index) => index)
  }

  /** What the agent was granted since the start. */
  granted(agent: string): number[] {
    return this.answers.filter((answer) => answer.agent === agent).flatMap(({ lease }) => chunksOf(lease))
  }
}

function chunksOf({ ranges }: Lease): number[] {
  return [...chunksIn(ranges)]
}

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `agent ${index}`)

describe('leases of one blob', () => {
  it('give agents that start together different chunks, each its first choice that is left, and one each', () => {
    const world = new Table(128, { startOut: 4, firstLeaseMs: 3_000, leaseMs: 3_000 })
    for (const name of names(16)) world.ask(name)
    expect(world.answers.map(({ agent, lease }) => [agent, chunksOf(lease)])).toEqual([
      ['agent 0', [0]],
      ['agent 1', [1]],
      ['agent 2', [2]],
      ['agent 3', [3]],
    ])
    expect(world.table.waiting).toBe(12)
    expect(world.answers.at(-1)?.lease).toMatchObject({ forMs: 3_000, members: 4 })
  })

  it('give what comes free to those that wait longest', () => {
    const world = new Table(128, { startOut: 4, aheadMs: 250, pendingMs: 600 })
    for (const name of names(6)) world.ask(name)
    world.now += 550
    world.bring('agent 0', 0)
    const answers = world.ask('agent 0')
    expect(answers.map(({ agent }) => agent)).toEqual(['agent 4', 'agent 5'])
    expect(world.table.waiting).toBe(1)
  })

  it('are asked for in any order, and neighbours are one range', () => {
    const world = new Table(128, { aloneMs: 1_000 })
    world.ask('a', { most: 0 })
    world.pass(1_500)
    const [answer] = world.ask('a', {
      gaps: [
        { from: 64, to: 67 },
        { from: 5, to: 6 },
        { from: 0, to: 64 },
      ],
      most: 6,
    })
    expect(answer?.lease.ranges).toEqual([
      { from: 64, to: 67 },
      { from: 5, to: 6 },
      { from: 0, to: 2 },
    ])
  })

  it('know no bound but the wish of an agent that is alone from the start, once others could have come', () => {
    const world = new Table(128, { aloneFirstMs: 100, aloneMs: 1_000 })
    world.ask('a', { most: 64 })
    expect(world.fetchingOf('a').size).toBe(1)
    world.pass(100)
    world.ask('a', { most: 64 })
    expect(world.fetchingOf('a').size).toBe(65)
  })

  it('know no bound but the wish of an agent that has been alone for a second', () => {
    const world = new Table(128, { aloneMs: 1_000 })
    world.ask('a')
    expect(world.granted('a')).toEqual([0])
    world.pass(1_000)
    world.ask('a', { most: 50 })
    expect(world.granted('a')).toHaveLength(51)
  })

  it('let those in that come while one agent has all', () => {
    const world = new Table(128, { startOut: 4, aloneMs: 1_000 })
    world.ask('a', { most: 0 })
    world.pass(1_000)
    world.ask('a', { most: 100 })
    world.ask('b')
    expect(world.granted('b')).toEqual([100])
  })

  it('answer an ask that is only a report at once, and one that finds nothing after a while', () => {
    const world = new Table(8, { startOut: 4, pendingMs: 600 })
    expect(world.ask('a', { most: 0 })).toMatchObject([{ agent: 'a', kind: 'empty', lease: { ranges: [] } }])
    expect(world.ask('a', { gaps: [] })).toMatchObject([{ agent: 'a', kind: 'empty' }])
    for (const name of names(4)) world.ask(name)
    expect(world.ask('late')).toEqual([])
    expect(world.pass(550)).toEqual([])
    expect(world.pass(50)).toMatchObject([{ agent: 'late', kind: 'empty', lease: { members: 6 } }])
    expect(world.table.waiting).toBe(0)
  })

  it('answer one ask of each agent: a new one takes the place of that which waits', () => {
    const world = new Table(8, { startOut: 4, pendingMs: 600, firstLeaseMs: 3_000, leaseMs: 3_000 })
    for (const name of names(4)) world.ask(name)
    for (let turn = 0; turn < 5; turn++) expect(world.ask('late')).toEqual([])
    expect(world.pass(2_000).filter(({ agent }) => agent === 'late')).toHaveLength(1)
  })

  it('are renewed while their chunk is being fetched, but not for ever', () => {
    const world = new Table(2, { firstLeaseMs: 3_000, leaseMs: 3_000, maxLeaseMs: 30_000, memberMs: 10_000 })
    world.ask('slow', { gaps: [{ from: 0, to: 1 }] })
    world.ask('b', { gaps: [{ from: 1, to: 2 }] })
    for (let second = 0; second < 20; second++) {
      world.pass(1_000)
      world.ask('slow', { most: 0 })
    }
    expect(world.table.out).toBe(1)
    for (let second = 0; second < 11; second++) {
      world.pass(1_000)
      world.ask('slow', { most: 0 })
    }
    expect(world.table.out).toBe(0)
  })

  it('run out, and the chunk goes to another; what the late one brings after all is no fault', () => {
    const world = new Table(1, { firstLeaseMs: 3_000, leaseMs: 3_000, memberMs: 10_000 })
    world.ask('silent')
    world.ask('b', { most: 0 })
    world.pass(3_000)
    const [answer] = world.ask('b')
    expect(answer).toMatchObject({ agent: 'b', kind: 'granted', lease: { ranges: [{ from: 0, to: 1 }] } })
    world.bring('silent', 0)
    expect(world.ask('silent')).toMatchObject([{ kind: 'empty' }])
    expect(world.table.out).toBe(1)
  })

  it('protect a chunk that was brought until everybody can have heard of it, each time for longer', () => {
    const world = new Table(1, { freshMs: 2_000, maxFreshMs: 30_000, memberMs: 10_000, confirmedTimes: 1 })
    const lacking = [{ from: 0, to: 1 }]
    for (const [turn, ms] of [2_000, 4_000, 8_000].entries()) {
      const [bringer, other] = turn % 2 === 0 ? ['a', 'b'] : ['b', 'a']
      world.ask('c', { gaps: lacking, most: 0 })
      if (turn === 0) world.ask(bringer)
      world.fetchingOf(bringer).clear()
      world.ask(bringer, { gaps: [], most: 0 })
      // one of them hears of it, another does not
      world.ask('c', { gaps: [], most: 0 })
      const since = world.now
      while (world.fetchingOf(other).size === 0 && world.now < since + 60_000) {
        world.ask(other, { gaps: lacking })
        world.pass(50)
      }
      expect(world.now - since).toBeGreaterThanOrEqual(ms)
      expect(world.now - since).toBeLessThanOrEqual(ms + 100)
    }
  })

  it('of an agent that is gone are free at once, and so is what only it had', () => {
    const world = new Table(4, { startOut: 4, freshMs: 2_000 })
    world.ask('a')
    world.bring('a', 0)
    world.ask('a', { gaps: [{ from: 1, to: 4 }] })
    world.ask('b', { gaps: [{ from: 1, to: 2 }] })
    world.known.clear()
    const before = world.granted('b')
    world.take(world.table.drop('a', world.now))
    world.ask('b', { gaps: [{ from: 0, to: 4 }], fetching: rangesOf(before) })
    world.ask('b', { gaps: [{ from: 0, to: 4 }], fetching: rangesOf(world.fetchingOf('b')) })
    expect(world.granted('b')).toContain(0)
  })

  it('of an agent that needs no more are free, and what it brought stays protected', () => {
    const world = new Table(2, { startOut: 4, freshMs: 2_000 })
    world.ask('a')
    world.bring('a', 0)
    world.ask('a')
    expect(world.granted('a')).toEqual([0, 1])
    world.ask('b', { gaps: [{ from: 0, to: 2 }] })
    expect(world.granted('b')).toEqual([])
    world.take(world.table.withdraw('a', world.now))
    expect(world.granted('b')).toEqual([1])
  })

  it('are given a second time when they are late and nothing else is left, once', () => {
    const world = new Table(2, { startOut: 4, lateMs: 1_000, firstLeaseMs: 3_000, leaseMs: 3_000, pendingMs: 600 })
    for (const name of names(4)) world.ask(name)
    expect(world.table.out).toBe(2)
    const answers = [...world.pass(550)]
    expect(answers).toEqual([])
    for (const name of ['agent 2', 'agent 3', 'agent 4']) world.ask(name)
    for (let turn = 0; turn < 8; turn++) {
      for (const name of ['agent 2', 'agent 3', 'agent 4']) if (world.fetchingOf(name).size === 0) world.ask(name)
      world.pass(100)
    }
    const seconds = world.answers.filter(({ kind }) => kind === 'second')
    expect(seconds.flatMap(({ lease }) => chunksOf(lease)).toSorted((a, b) => a - b)).toEqual([0, 1])
  })

  it('are fewer when the origin refuses, and the one that gave back waits', () => {
    const world = new Table(128, { startOut: 4, aheadMs: 250, minPenaltyMs: 1_000 })
    for (const name of names(8)) world.ask(name)
    const back = { fetching: [], gaps: [{ from: 0, to: 128 }] }
    world.fetchingOf('agent 0').clear()
    world.ask('agent 0', back)
    expect(world.table.out).toBe(3)
    world.bring('agent 1', 1)
    world.ask('agent 1')
    world.bring('agent 2', 2)
    world.ask('agent 2')
    expect(world.table.out).toBe(2)
    expect(world.granted('agent 0')).toEqual([0])
  })
})

describe('an agent that joins late', () => {
  const limits = {
    freshMs: 3_000,
    maxFreshMs: 30_000,
    confirmedTimes: 4,
    keptMs: 600_000,
    memberMs: 10_000,
    aloneMs: 1_000,
  }
  const all = [{ from: 0, to: 16 }]

  /** Everything but the last two chunks was brought, the last one of them so long ago. */
  function brought(ms: number): Table {
    const world = new Table(16, limits)
    for (let turn = 0; world.known.size < 14; turn++) {
      expect(turn).toBeLessThan(100)
      for (const name of ['a', 'b']) {
        for (const chunk of world.fetchingOf(name)) if (chunk < 14) world.bring(name, chunk)
        world.ask(name, { gaps: rangesOf(world.all().filter((chunk) => chunk < 14 && !world.known.has(chunk))) })
      }
      world.pass(50)
    }
    world.pass(ms)
    return world
  }

  /** Asks again and again. @returns what it was granted meanwhile */
  function askFor(world: Table, ms: number, gaps = all): number[] {
    const before = world.granted('late').length
    for (const until = world.now + ms; world.now < until; world.pass(50)) {
      world.ask('late', { gaps, fetching: [], most: 16 })
    }
    return world.granted('late').slice(before)
  }

  it('is granted what nobody has, but not what others brought long ago, however often it asks', () => {
    const world = brought(60_000)
    expect(new Set(askFor(world, limits.freshMs - 50))).toEqual(new Set([14, 15]))
  })

  it('is granted what several others have only when it could not get it from them for four times as long as news take', () => {
    const world = brought(60_000)
    const gaps = [{ from: 0, to: 14 }]
    expect(askFor(world, 4 * limits.freshMs - 50, gaps)).not.toContain(0)
    expect(askFor(world, 1_000, gaps)).toContain(0)
  })

  it('is granted nothing that it has heard of by then', () => {
    const world = brought(60_000)
    askFor(world, limits.freshMs - 500, [{ from: 0, to: 14 }])
    expect(new Set(askFor(world, 10_000, [{ from: 7, to: 8 }]))).toEqual(new Set([7]))
    expect(askFor(world, 10_000, [])).toEqual([])
  })

  it('has to hear of it anew when it comes again after it was gone', () => {
    const world = brought(60_000)
    askFor(world, limits.freshMs - 50, [{ from: 0, to: 14 }])
    world.take(world.table.drop('late', world.now))
    expect(askFor(world, limits.freshMs - 50, [{ from: 0, to: 14 }])).toEqual([])
  })

  it('is granted at once what was brought too long ago to be remembered, and that takes no memory', () => {
    const world = brought(limits.keptMs + 2_000)
    expect(world.table.size).toBe(0)
    expect(askFor(world, 50, [{ from: 0, to: 14 }])).toContain(0)
  })

  it('holds up nobody who has taken part for longer', () => {
    const world = brought(limits.freshMs)
    world.ask('late', { gaps: all, fetching: [] })
    world.ask('a', { gaps: [{ from: 14, to: 16 }], fetching: [], most: 1 })
    expect(world.granted('a')).toContain(15)
  })
})

describe('agents that take leases and bring nothing', () => {
  it('get one chunk at a time, less and less often, and full measure again when they bring some', () => {
    const world = new Table(1_000, { firstLeaseMs: 3_000, leaseMs: 3_000, minPenaltyMs: 1_000, maxPenaltyMs: 30_000 })
    world.ask('b', { most: 0 })
    world.ask('liar')
    const grantsPer = (seconds: number): number => {
      const before = world.granted('liar').length
      for (let turn = 0; turn < seconds * 2; turn++) {
        world.fetchingOf('liar').clear()
        world.ask('liar', { gaps: [{ from: 0, to: 1_000 }], fetching: rangesOf(world.granted('liar')) })
        world.ask('b', { most: 0 })
        world.pass(500)
      }
      return world.granted('liar').length - before
    }
    expect(grantsPer(60)).toBeLessThanOrEqual(8)
    expect(grantsPer(120)).toBeLessThanOrEqual(6)
  })

  it('cannot take everything by saying that they fetch it', () => {
    const world = new Table(1_000, { startOut: 4, firstLeaseMs: 3_000, leaseMs: 3_000, maxLeaseMs: 30_000 })
    world.ask('liar', { fetching: [{ from: 0, to: 1_000 }], gaps: [], most: 0 })
    expect(world.table.out).toBeLessThanOrEqual(4)
    for (const name of names(3)) world.ask(name)
    world.pass(31_000)
    world.ask('liar', { fetching: [{ from: 0, to: 1_000 }], gaps: [], most: 0 })
    expect(world.table.out).toBe(0)
  })

  it('cannot hold up the others by saying that they have what nobody can get', () => {
    const world = new Table(64, { startOut: 4, aheadMs: 250, freshMs: 2_000, minPenaltyMs: 1_000 })
    world.ask('honest', { most: 0 })
    for (let turn = 0; turn < 64; turn++) {
      world.ask('liar', { gaps: [{ from: turn, to: 64 }], fetching: [] })
      world.now += 1
    }
    expect(world.granted('liar').length).toBeGreaterThan(60)
    const since = world.now
    const left = new Set(world.all())
    while (left.size > 0 && world.now < since + 30_000) {
      const answers = [...world.ask('honest', { gaps: rangesOf(left) }), ...world.pass(50)]
      for (const { agent, lease } of answers)
        if (agent === 'honest') for (const chunk of chunksOf(lease)) left.delete(chunk)
      world.fetchingOf('honest').clear()
      world.ask('liar', { gaps: [{ from: 0, to: 64 }], fetching: [] })
    }
    expect(left.size).toBe(0)
    expect(world.now - since).toBeLessThan(6_000)
  })

  it('cannot take memory by saying that they brought ever more', () => {
    const count = 1_000_000
    const world = new Table(count, { maxKept: 4_096, maxPerAgent: 1_024, aloneMs: 1_000 })
    world.ask('liar', { most: 0, gaps: [] })
    world.pass(1_000)
    for (let from = 0; from < 100_000; from += 1_024) {
      world.take(
        world.table.ask('liar', { size: 0, gaps: [{ from, to: count }], fetching: [], most: 1_024 }, world.now),
      )
      world.now += 1
      expect(world.table.size).toBeLessThanOrEqual(1 + 4_096 + 1_024)
    }
    expect(world.granted('liar').length).toBeGreaterThan(90_000)
  })

  it('cannot slow down the others by giving back again and again', () => {
    const world = new Table(1_000, { startOut: 4, minPenaltyMs: 1_000, maxPenaltyMs: 30_000 })
    const all = [{ from: 0, to: 1_000 }]
    for (let turn = 0; turn < 200; turn++) {
      world.ask('b', { most: 0 })
      world.fetchingOf('liar').clear()
      world.ask('liar', { gaps: all, fetching: [] })
      world.pass(50)
    }
    const honest = names(4).flatMap((name) => world.ask(name))
    expect(honest.length).toBeGreaterThanOrEqual(2)
  })
})

describe('whatever agents ask', () => {
  const range = fc.record({ from: fc.integer({ min: -5, max: 40 }), to: fc.integer({ min: -5, max: 1e9 }) })
  const event = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        type: fc.constant('ask' as const),
        agent: fc.nat(5),
        gaps: fc.array(range, { maxLength: 70 }),
        fetching: fc.array(range, { maxLength: 3 }),
        most: fc.oneof(fc.nat(40), fc.constant(Number.NaN), fc.constant(1e12)),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('drop', 'withdraw'), agent: fc.nat(5) }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.nat(4_000) }) },
  )

  it('an answer is within the blob, within the ask and within its bounds, and each ask has one at most', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const table = new LeaseTable({ count: 32 })
        let now = 0
        const waiting = new Map<string, { gaps: readonly ChunkRange[]; most: number; at: number }>()
        const take = (answers: readonly LeaseAnswer[]): void => {
          for (const { agent, lease } of answers) {
            const ask = waiting.get(agent)
            expect(ask).toBeDefined()
            waiting.delete(agent)
            const chunks = chunksOf(lease)
            expect(chunks.length).toBeLessThanOrEqual(Math.max(0, ask?.most || 0))
            expect(new Set(chunks).size).toBe(chunks.length)
            for (const chunk of chunks) {
              expect(chunk >= 0 && chunk < 32).toBe(true)
              expect(ask?.gaps.some(({ from, to }) => chunk >= from && chunk < to)).toBe(true)
            }
            expect(lease.forMs).toBeLessThanOrEqual(LEASE_LIMITS.maxLeaseMs)
            expect(lease.members).toBeGreaterThanOrEqual(1)
          }
        }
        for (const step of events) {
          if (step.type === 'ask') {
            const { gaps, fetching, most } = step
            waiting.set(`${step.agent}`, { gaps, most, at: now })
            take(table.ask(`${step.agent}`, { size: 0, gaps, fetching, most }, now))
          } else if (step.type === 'pass') {
            now += step.ms
            take(table.tick(now))
          } else {
            waiting.delete(`${step.agent}`)
            take(step.type === 'drop' ? table.drop(`${step.agent}`, now) : table.withdraw(`${step.agent}`, now))
          }
          expect(table.waiting).toBe(waiting.size)
          expect(table.size).toBeLessThanOrEqual(6 + 32)
        }
        take(table.tick(now + 1_000))
        expect(waiting.size).toBe(0)
        table.tick(now + 120_000)
        expect(table.out).toBe(0)
        expect(table.members).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('honest agents get every chunk once, whoever of them dies, while one is left', () => {
    const scenario = fc.record({
      seed: fc.infiniteStream(fc.nat(1_000)),
      agents: fc.integer({ min: 1, max: 8 }),
      count: fc.integer({ min: 1, max: 60 }),
      deaths: fc.array(fc.record({ at: fc.nat(200), agent: fc.nat(7), isTold: fc.boolean() }), { maxLength: 5 }),
    })
    fc.assert(
      fc.property(scenario, ({ seed, agents, count, deaths }) => {
        const world = new Table(count)
        const alive = new Set(names(agents))
        const out = new Map<number, { agent: string; until: number }>()
        let lost = 0
        for (let turn = 0; world.known.size < count; turn++) {
          expect(turn).toBeLessThan(3_000)
          for (const { at, agent, isTold } of deaths) {
            const name = `agent ${agent}`
            if (at !== turn || alive.size === 1 || !alive.delete(name)) continue
            // whoever asked before it was told of them may be given them again
            lost += isTold ? world.granted(name).length : world.fetchingOf(name).size
            for (const chunk of world.fetchingOf(name)) out.delete(chunk)
            if (isTold) world.take(world.table.drop(name, world.now))
          }
          const before = world.answers.length
          for (const name of alive) {
            if ((seed.next().value ?? 0) % 3 === 0) continue
            for (const chunk of [...world.fetchingOf(name)].slice(0, 1)) {
              world.bring(name, chunk)
              out.delete(chunk)
            }
            world.ask(name)
          }
          world.pass(50)
          for (const { agent, lease, kind } of world.answers.slice(before)) {
            for (const chunk of chunksOf(lease)) {
              if (!alive.has(agent)) lost += 1
              expect(kind === 'granted' && out.has(chunk) && alive.has(agent)).toBe(false)
              out.set(chunk, { agent, until: world.now + lease.forMs })
              if (!alive.has(agent)) out.delete(chunk)
            }
          }
        }
        const seconds = world.answers.filter(({ kind }) => kind === 'second').length
        const granted = world.answers.flatMap(({ lease }) => chunksOf(lease)).length
        expect(granted).toBeLessThanOrEqual(count + lost + seconds)
      }),
      { numRuns: 100 },
    )
  })

  it('everybody gets a fair part of what is out', () => {
    const world = new Table(400)
    const members = names(8)
    for (let turn = 0; world.known.size < 400; turn++) {
      for (const name of members) {
        for (const chunk of [...world.fetchingOf(name)].slice(0, 1)) world.bring(name, chunk)
        world.ask(name)
      }
      world.pass(100)
      expect(turn).toBeLessThan(1_000)
    }
    const parts = members.map((name) => world.granted(name).length)
    expect(Math.max(...parts)).toBeLessThanOrEqual(1.5 * Math.min(...parts))
  })

  it('thousands of agents cost little for each ask', () => {
    const world = new Table(128)
    const members = names(5_000)
    const started = performance.now()
    for (const name of members) world.ask(name)
    for (let chunk = 0; chunk < 128; chunk++) {
      world.now += 4
      const holder = [...world.fetching].find(([, chunks]) => chunks.size > 0)
      if (holder === undefined) break
      for (const brought of holder[1]) world.bring(holder[0], brought)
      world.ask(holder[0])
    }
    expect(world.table.waiting).toBeGreaterThan(4_000)
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})
