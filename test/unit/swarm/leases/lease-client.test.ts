import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ChunkRange, Lease, LeaseAsk } from '../../../../src/blob/ports.ts'
import { nearestTo } from '../../../../src/swarm/discovery/nearest.ts'
import { AnswerTimes } from '../../../../src/swarm/leases/answer-times.ts'
import { CLIENT_LIMITS, LeaseClient } from '../../../../src/swarm/leases/lease-client.ts'
import type { LeaseMessage } from '../../../../src/swarm/protocol/wire-messages.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'

const { digest } = new TestBlob(Buffer.from('leased'))
const KEY = { digest, registry: 'registry.test' }
const ASK: LeaseAsk = { size: 64, gaps: [{ from: 0, to: 16 }], fetching: [], most: 4 }
/** The nearest one first, this agent last. */
const ORDER = nearestTo(digest, ['a', 'b', 'c', 'd'], 4)
const [NEAR = '', NEXT = '', , SELF = ''] = ORDER

/** A client among three members that say what the test does. */
class World {
  readonly asked: string[] = []
  readonly leases: Lease[] = []
  readonly named: string[] = []
  readonly lateness = { ms: 0 }
  readonly answerTimes = new AnswerTimes()
  readonly client: LeaseClient
  #serial = 0

  constructor() {
    const ask = (peer: string, { leaves }: LeaseMessage): boolean => {
      if (!leaves) this.asked.push(peer)
      return true
    }
    this.client = new LeaseClient(
      {
        members: {
          self: SELF,
          connected: new Map(ORDER.slice(0, 3).map((peer) => [peer, { zone: '' }])) as never,
          connect: () => Promise.reject(new Error('nobody connects here')),
        },
        isBanned: () => false,
        send: (peer, message) => ask(peer, message as LeaseMessage),
        askSelf: (message) => void ask(SELF, message),
        clock: () => Date.now(),
        lateness: this.lateness,
        answerTimes: this.answerTimes,
        metrics: { coordinatorChanged: () => {} },
        leased: (lease) => this.leases.push(lease),
        named: (peers) => this.named.push(...peers),
      },
      KEY,
    )
  }

  ask(): void {
    this.client.ask(ASK)
  }

  answer(peer: string, ranges: readonly ChunkRange[] = []): void {
    this.#serial += 1
    this.client.leased(peer, {
      type: 'leased',
      ...KEY,
      ranges: [...ranges],
      forMs: 100,
      members: 4,
      serial: this.#serial,
      nearer: [],
    })
  }

  get coordinator(): string | undefined {
    return this.asked.at(-1)
  }
}

let world: World
beforeEach(() => {
  vi.useFakeTimers()
  world = new World()
})
afterEach(() => {
  world.client.close()
  vi.useRealTimers()
})

describe('the wait for an answer', () => {
  it('ends after 1.5 s, and the next nearest is asked', () => {
    world.ask()
    vi.advanceTimersByTime(CLIENT_LIMITS.answerMs - 1)
    expect(world.asked).toEqual([NEAR])
    vi.advanceTimersByTime(1)
    expect(world.asked).toEqual([NEAR, NEXT])
  })

  it('is longer while this agent itself is late, and has an end', () => {
    world.lateness.ms = 500
    world.ask()
    vi.advanceTimersByTime(CLIENT_LIMITS.answerMs + 1_400)
    expect(world.asked).toEqual([NEAR])
    world.lateness.ms = 1e9
    vi.advanceTimersByTime(100)
    expect(world.asked).toEqual([NEAR, NEXT])
    vi.advanceTimersByTime(CLIENT_LIMITS.maxAnswerMs)
    expect(world.coordinator).toBe(SELF)
  })

  it('is longer for a coordinator that goes on saying other things, and has an end', () => {
    world.ask()
    vi.advanceTimersByTime(1_000)
    world.answerTimes.heard(NEAR, Date.now())
    vi.advanceTimersByTime(1_400)
    expect(world.asked).toEqual([NEAR])
    vi.advanceTimersByTime(300)
    expect(world.asked).toEqual([NEAR, NEXT])
    for (let passed = 0; passed < 4_000; passed += 500) {
      expect(world.coordinator).toBe(NEXT)
      world.answerTimes.heard(NEXT, Date.now())
      vi.advanceTimersByTime(500)
    }
    vi.advanceTimersByTime(200)
    expect(world.coordinator).not.toBe(NEXT)
  })

  it('is longer for a coordinator that took its time before, also when its answer came too late', () => {
    world.ask()
    vi.advanceTimersByTime(2_000)
    expect(world.coordinator).toBe(NEXT)
    world.answer(NEAR)
    world.answer(NEXT, [{ from: 0, to: 1 }])
    world.ask()
    expect(world.coordinator).toBe(NEAR)
    vi.advanceTimersByTime(3_900)
    expect(world.coordinator).toBe(NEAR)
    vi.advanceTimersByTime(200)
    expect(world.coordinator).toBe(NEXT)
  })
})

describe('a coordinator that always answers, and grants nothing', () => {
  /** Asks again and again for so long, and is answered at once by who was asked. */
  function goOn(ms: number, ranges: readonly ChunkRange[] = []): void {
    for (let passed = 0; passed < ms; passed += 100) {
      world.ask()
      world.answer(world.coordinator ?? '', ranges)
      vi.advanceTimersByTime(100)
    }
  }

  it('is left after 15 s in which nothing came, then the next one, then this agent answers itself', () => {
    goOn(CLIENT_LIMITS.barrenMs)
    expect(new Set(world.asked)).toEqual(new Set([NEAR]))
    goOn(CLIENT_LIMITS.barrenMs)
    expect(world.coordinator).toBe(NEXT)
    goOn(1_000)
    expect(world.coordinator).toBe(SELF)
    expect(world.leases.length).toBe(world.asked.length)
  })

  it('is kept as long as chunks come from anywhere', () => {
    for (let turn = 0; turn < 10; turn++) {
      goOn(CLIENT_LIMITS.barrenMs - 1_000)
      world.client.came([turn])
    }
    expect(new Set(world.asked)).toEqual(new Set([NEAR]))
  })

  it('is kept for longer by an agent that is late itself', () => {
    world.lateness.ms = 10_000
    goOn(2 * CLIENT_LIMITS.barrenMs)
    expect(new Set(world.asked)).toEqual(new Set([NEAR]))
    goOn(2 * CLIENT_LIMITS.barrenMs)
    expect(world.coordinator).not.toBe(NEAR)
  })

  it('is asked again once another one gave something, and a while has passed', () => {
    goOn(CLIENT_LIMITS.barrenMs + 1_000)
    expect(world.coordinator).toBe(NEXT)
    goOn(CLIENT_LIMITS.avoidMs, [{ from: 0, to: 1 }])
    goOn(200)
    expect(world.coordinator).toBe(NEAR)
  })
})

it('only the coordinator is believed about who has what', () => {
  const world = new World()
  world.ask()
  const peers = ['a', 'b']
  world.client.holders(NEXT, { type: 'holders', ...KEY, peers })
  expect(world.named).toEqual([])
  world.client.holders(NEAR, { type: 'holders', ...KEY, peers })
  expect(world.named).toEqual(peers)
  world.client.close()
})
