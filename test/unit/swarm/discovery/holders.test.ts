import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../../src/oci/digest.ts'
import { Holders } from '../../../../src/swarm/discovery/holders.ts'
import { nearestTo } from '../../../../src/swarm/discovery/nearest.ts'
import { Suppliers } from '../../../../src/swarm/discovery/suppliers.ts'

const digest = (of: string | number) => digestOf('sha256', createHash('sha256').update(`${of}`).digest('hex'))

describe('hints about who has what', () => {
  it('name everybody who said so and is still there', () => {
    const holders = new Holders()
    for (const peer of ['a', 'b', 'b']) holders.note(peer, digest(1))
    holders.note('a', digest(2))
    expect(holders.size).toBe(3)
    expect(holders.of(digest(1))).toEqual(['a', 'b'])
    holders.drop('a')
    expect(holders.of(digest(1))).toEqual(['b'])
    expect(holders.of(digest(2))).toEqual([])
    expect(holders.size).toBe(1)
  })

  it('stay bounded, and a flood of one peer pushes out its own', () => {
    const holders = new Holders()
    holders.note('honest', digest('kept'))
    for (let of = 0; of < 3_000; of++) holders.note('flood', digest(of))
    expect(holders.size).toBe(1 + 1_024)
    for (let peer = 0; peer < 20; peer++) for (let of = 0; of < 1_024; of++) holders.note(`flood ${peer}`, digest(of))
    expect(holders.size).toBe(16_384)
    expect(holders.of(digest('kept'))).toEqual(['honest'])
  })
})

describe('the nearest peers', () => {
  it('are the same whoever asks, in whatever order it knows them, and differ by digest', () => {
    const peers = Array.from({ length: 50 }, (_, index) => `peer ${index}`)
    const nearest = nearestTo(digest(1), peers, 4)
    expect(new Set(nearest).size).toBe(4)
    expect(nearestTo(digest(1), peers.toReversed(), 4)).toEqual(nearest)
    const without = peers.filter((peer) => peer !== nearest[0])
    expect(nearestTo(digest(1), without, 3)).toEqual(nearest.slice(1))
    const all = new Set(Array.from({ length: 50 }, (_, of) => nearestTo(digest(of), peers, 1)[0]))
    expect(all.size).toBeGreaterThan(20)
  })
})

describe('the suppliers of a registry', () => {
  it('are those that gave something last, a few of them', () => {
    const suppliers = new Suppliers()
    for (const peer of ['a', 'b', 'a', 'a']) suppliers.note('r', peer)
    suppliers.note('other', 'c')
    expect(suppliers.of('r')).toEqual(['a', 'b'])
    for (let peer = 0; peer < 20; peer++) suppliers.note('r', `${peer}`)
    expect(suppliers.of('r')).toHaveLength(8)
    for (let registry = 0; registry < 200; registry++) suppliers.note(`${registry}`, 'a')
    expect(suppliers.of('r')).toEqual([])
    expect(suppliers.of('199')).toEqual(['a'])
  })
})
