import { expect, it } from 'vitest'
import { ChunkSet } from '../../../src/blob/chunk-set.ts'
import type { ChunkSource, PeerSource } from '../../../src/blob/ports.ts'
import type { Moment } from '../../../src/blob/source-at.ts'
import { TransferSource } from '../../../src/blob/transfer-source.ts'
import { ShoalError } from '../../../src/errors.ts'

const ORIGIN: ChunkSource = { kind: 'origin', id: 'origin', open: () => Promise.reject(new Error('nobody opens it')) }
const ALL = Uint8Array.of(0xff)

function momentAt(now: number): Moment {
  return { now, trust: { mayComeFrom: () => true }, unjudged: () => 0 }
}

it('a request that is no run takes the place of one until it has ended', () => {
  const source = new TransferSource(ORIGIN, 'origin')
  const maxRuns = (): number => source.view(momentAt(0)).maxRuns
  const before = maxRuns()
  const ended = source.beside()
  expect(maxRuns()).toBe(before - 1)
  source.takesOneAtATime()
  expect(maxRuns()).toBe(0)
  ended()
  expect(maxRuns()).toBe(1)
})

it('a chunk that a peer gives to others is asked of it again after a while, and others at once', () => {
  const peer: PeerSource = { ...ORIGIN, kind: 'peer', size: 10, has: () => true, bits: ALL, report: () => {} }
  const source = new TransferSource(peer, 'peer')
  const crowded = new ShoalError('PEER_CROWDED', 'others have it soon')
  source.failed(crowded, { now: 1_000, gained: false, hasOthers: true, from: 3, to: 5 })
  expect([source.error, source.isUsable(1_000)]).toEqual([undefined, true])
  const view = source.view(momentAt(1_000))
  expect([view.has(3), view.gives(3), view.gives(4)]).toEqual([true, false, true])
  const [again = 0, ...more] = source.wakeTimes(1_000)
  expect(more).toEqual([])
  expect(again).toBeGreaterThan(1_000)
  expect([source.gives(3, again - 1), source.gives(3, again)]).toEqual([false, true])
  expect(source.wakeTimes(again)).toEqual([])
})

it('a peer that always gives to others does not count as having it, and is left', () => {
  const peer: PeerSource = { ...ORIGIN, kind: 'peer', size: 10, has: () => true, bits: ALL, report: () => {} }
  const source = new TransferSource(peer, 'peer')
  const crowded = new ShoalError('PEER_CROWDED', 'others have it soon')
  const refuse = (from: number, times: number): void => {
    for (let at = 0; at < times; at++)
      source.failed(crowded, { now: at * 1_000, gained: false, hasOthers: true, from, to: from + 1 })
  }
  refuse(3, 11)
  expect(source.has(3)).toBe(true)
  refuse(3, 1)
  expect([source.has(3), source.has(4)]).toEqual([false, true])
  const chunks = new ChunkSet(5)
  source.addTo(chunks)
  expect([0, 1, 2, 3, 4].filter((index) => chunks.has(index))).toEqual([0, 1, 2, 4])
  source.brought(1_000, 10)
  refuse(4, 23)
  expect(source.error).toBeUndefined()
  refuse(5, 1)
  expect(source.error).toBe(crowded)
})

it('a peer that serves others before rests for a moment, whatever is asked of it, and is left only after a minute without anything', () => {
  const reported: string[] = []
  const report = ({ type }: { readonly type: string }): void => void reported.push(type)
  const peer: PeerSource = { ...ORIGIN, kind: 'peer', size: 10, has: () => true, bits: ALL, report }
  const source = new TransferSource(peer, 'peer')
  const putOff = new ShoalError('PEER_PUTS_OFF', 'others first')
  const refuse = (now: number): void => source.failed(putOff, { now, gained: false, hasOthers: true, from: 3, to: 4 })
  for (let now = 1_000; now < 60_000; now += 250) refuse(now)
  expect([source.error, source.has(3), source.isUsable(60_000)]).toEqual([undefined, true, false])
  expect(source.isUsable(61_000)).toBe(true)
  source.brought(1_000, 10)
  for (let now = 70_000; now < 129_000; now += 250) refuse(now)
  expect(source.error).toBeUndefined()
  refuse(130_000)
  expect([source.error, reported]).toEqual([putOff, ['delivered']])
})
