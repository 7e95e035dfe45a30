import { afterEach, expect, it } from 'vitest'
import type { ChunkRange } from '../../../../src/blob/ports.ts'
import { nearestTo } from '../../../../src/swarm/discovery/nearest.ts'
import { CAME_BACK_MS, DESK_LIMITS, LeaseDesk, SENT_ON_MS } from '../../../../src/swarm/leases/lease-desk.ts'
import type { LeasedMessage, LeaseMessage } from '../../../../src/swarm/protocol/wire-messages.ts'
import { noSwarmMetrics } from '../../../../src/swarm/swarm-metrics.ts'
import type { Member } from '../../../../src/swarm/swarm-ports.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'

const MIB = 1024 * 1024
const { digest } = new TestBlob(Buffer.from('asked for'))
const SIZE = 1_024 * MIB // 256 chunks of 4 MiB

/** A desk, a clock, and what it answered. */
class World {
  now = 0
  readonly answers: { readonly peer: string; readonly message: LeasedMessage }[] = []
  /** By the peer that was told. */
  readonly named = new Map<string, readonly string[]>()
  readonly desk: LeaseDesk

  constructor(limits: Partial<typeof DESK_LIMITS>, connected: readonly string[] = []) {
    this.desk = new LeaseDesk(
      {
        members: { self: 'self', connected: new Map(connected.map((id) => [id, { id } as Member])) },
        clock: () => this.now,
        lateness: { ms: 0 },
        metrics: noSwarmMetrics,
        answer: (peer, message) => {
          if (message.type === 'leased') this.answers.push({ peer, message })
          else this.named.set(peer, message.peers)
        },
      },
      { ...DESK_LIMITS, ...limits },
    )
  }

  ask(peer: string, registry: string, gaps: readonly ChunkRange[], given: Partial<LeaseMessage> = {}): void {
    const rest = { fetching: [], most: 256, heard: 1e9, leaves: false }
    this.desk.asked(peer, { type: 'lease', digest, registry, size: SIZE, gaps: [...gaps], ...rest, ...given })
  }

  /** The member says that it brought all chunks of the blob, as far as it is let. */
  bringAll(peer: string, registry: string): void {
    this.ask(peer, registry, [{ from: 0, to: 256 }])
    this.now += 120
    this.ask(peer, registry, [{ from: 0, to: 256 }])
    this.ask(peer, registry, [])
  }

  /** The member goes on fetching what it was given first. */
  goOn(peer: string, registry: string): void {
    this.ask(peer, registry, [], { fetching: [{ from: 0, to: 1 }], most: 0 })
  }

  answersTo(peer: string): LeasedMessage[] {
    return this.answers.flatMap((answer) => (answer.peer === peer ? [answer.message] : []))
  }
}

let world: World
afterEach(() => world.desk.stop())

it('tables that one member opened take no more than its share of memory, and those of others stay', () => {
  world = new World({ maxBytesPerPeer: 64 * 1024 })
  world.ask('honest', 'own', [{ from: 0, to: 1 }])
  for (let turn = 0; turn < 50; turn++) {
    world.bringAll('flood', `r${turn}`)
    world.goOn('honest', 'own')
  }
  expect(world.desk.size).toBeLessThan(30)
  expect(world.desk.size).toBeGreaterThan(1)
  // its lease is still known: nobody else is given the chunk
  world.now += 100
  world.ask('other', 'own', [{ from: 0, to: 2 }])
  expect(world.answersTo('other').at(-1)?.ranges).toEqual([{ from: 1, to: 2 }])
})

it('all tables together take no more than so much memory, and who opened most pays', () => {
  world = new World({ maxBytes: 256 * 1024 })
  world.ask('honest', 'own', [{ from: 0, to: 1 }])
  for (let turn = 0; turn < 200; turn++) {
    world.bringAll(`flood ${turn % 3}`, `r${turn}`)
    world.goOn('honest', 'own')
  }
  expect(world.desk.size).toBeLessThan(120)
  world.ask('other', 'own', [{ from: 0, to: 2 }])
  expect(world.answersTo('other').at(-1)?.ranges).toEqual([{ from: 1, to: 2 }])
})

it('an ask that waits is answered when its table has to go', () => {
  world = new World({ maxTablesPerPeer: 1 })
  world.ask('a', 'first', [{ from: 0, to: 1 }])
  world.ask('b', 'first', [{ from: 0, to: 1 }])
  expect(world.answersTo('b')).toEqual([])
  world.ask('a', 'second', [{ from: 0, to: 1 }])
  expect(world.answersTo('b')).toMatchObject([{ registry: 'first', ranges: [] }])
})

it('one large table that is in use is not thrown away again and again', () => {
  world = new World({ maxBytes: 1_024, maxBytesPerPeer: 1_024 })
  world.ask('a', 'large', [{ from: 0, to: 1 }])
  world.now += 50
  world.ask('b', 'large', [{ from: 0, to: 2 }])
  expect(world.answersTo('b')).toMatchObject([{ ranges: [{ from: 1, to: 2 }] }])
  expect(world.desk.size).toBe(1)
})

it('an agent is told who brought what it lacks, where it does not hear from all the others', () => {
  world = new World({ metByAll: 3 })
  const all = [{ from: 0, to: 8 }]
  for (const peer of ['a', 'b', 'c']) world.ask(peer, 'r', all, { most: 1 })
  world.now += 4_100
  for (const [at, peer] of ['a', 'b', 'c'].entries()) {
    const gaps = [
      { from: 0, to: at },
      { from: at + 1, to: 8 },
    ].filter(({ from, to }) => from < to)
    world.ask(peer, 'r', gaps, { most: 1 })
  }
  expect(world.named.size).toBe(0)
  world.ask('late', 'r', all)
  expect(world.named.get('late')).toEqual(['a', 'b', 'c'])
  world.ask('late', 'r', [{ from: 2, to: 8 }])
  expect(world.named.get('late')).toEqual(['c'])
  world.ask('a', 'r', [{ from: 1, to: 8 }])
  expect(world.named.get('a')).toEqual(['b', 'c'])
})

it('sends an agent on to a nearer coordinator before it grants anything itself, and goes on with those it has granted to', () => {
  const others = Array.from({ length: 64 }, (_, at) => `agent ${at}`)
  const nearer = others.find((id) => nearestTo(digest, ['self', id], 1)[0] === id) ?? ''
  const farther = others.find((id) => nearestTo(digest, ['self', id], 1)[0] === 'self') ?? ''
  world = new World({}, [nearer, farther])
  for (const forMs of SENT_ON_MS) {
    world.ask(farther, 'r', [{ from: 0, to: 1 }], { heard: 0 })
    expect(world.answersTo(farther).at(-1)).toMatchObject({ ranges: [], forMs, nearer: [nearer], serial: 0 })
    world.now += forMs
  }
  world.ask(farther, 'r', [{ from: 0, to: 1 }], { heard: 0 })
  expect(world.answersTo(farther).at(-1)).toMatchObject({ ranges: [{ from: 0, to: 1 }], nearer: [nearer], serial: 1 })
  world.ask(farther, 'r', [{ from: 1, to: 2 }], { heard: 1 })
  expect(world.answersTo(farther).at(-1)?.ranges).toEqual([{ from: 1, to: 2 }])
  // so that one can't be reached: nobody else is sent there for a while
  world.ask('another', 'r', [{ from: 3, to: 4 }], { heard: 0 })
  expect(world.answersTo('another').at(-1)?.ranges).toEqual([{ from: 3, to: 4 }])
  world.now += CAME_BACK_MS
  world.ask('one more', 'r', [{ from: 4, to: 5 }], { heard: 0 })
  expect(world.answersTo('one more').at(-1)?.ranges).toEqual([])
  // the nearer one itself, which has lost its way, has nobody to be sent to
  world.ask(nearer, 'r', [{ from: 2, to: 3 }])
  expect(world.answersTo(nearer).at(-1)?.ranges).toEqual([{ from: 2, to: 3 }])
})
