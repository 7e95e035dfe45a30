import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LaneTurns } from '../../../../src/swarm/lane/lane-turns.ts'

const fail = (): never => {
  throw new Error('there is a turn already')
}

it('gives the same to few at a time, and to others in the order in which they asked', () => {
  const turns = new LaneTurns({ most: 2 })
  const begun: string[] = []
  const take = (who: string, what = 'chunk'): (() => void) => turns.take(what, who, () => begun.push(who)) ?? fail()
  const first = take('a')
  take('b')
  const third = take('c')
  take('d')
  const other = take('e', 'another chunk')
  expect(begun).toEqual(['a', 'b', 'e'])
  // who does not wait any more
  third()
  first()
  first()
  expect(begun).toEqual(['a', 'b', 'e', 'd'])
  other()
  expect(turns.size).toBe(1)
})

it('a turn that was given back long ago ends nothing that began since', () => {
  const turns = new LaneTurns({ most: 1 })
  const begun: string[] = []
  const first = turns.take('chunk', 'a', () => begun.push('a'))
  first?.()
  turns.take('chunk', 'b', () => begun.push('b'))
  first?.()
  turns.take('chunk', 'c', () => begun.push('c'))
  expect(begun).toEqual(['a', 'b'])
})

it('one peer has one turn, or one place among those who wait', () => {
  const turns = new LaneTurns({ most: 1 })
  const leave = turns.take('chunk', 'a', () => {})
  expect(turns.take('chunk', 'a', () => {})).toBeUndefined()
  expect(turns.take('another chunk', 'a', () => {})).toBeTypeOf('function')
  const waits = turns.take('chunk', 'b', () => {})
  expect(turns.take('chunk', 'b', () => {})).toBeUndefined()
  leave?.()
  waits?.()
  expect(turns.take('chunk', 'a', () => {})).toBeTypeOf('function')
})

it('never gives to more at once than it may, leaves nobody waiting while there is room, and forgets what is over', () => {
  const steps = fc.array(fc.record({ what: fc.constantFrom('a', 'b'), leaves: fc.nat(5) }), { maxLength: 100 })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 4 }), (steps, most) => {
      const turns = new LaneTurns({ most })
      const asked: { what: string; isGiven: boolean; leave: () => void }[] = []
      for (const [at, { what, leaves }] of steps.entries()) {
        const entry = { what, isGiven: false, leave: () => {} }
        asked.push(entry)
        const begin = (): void => {
          entry.isGiven = true
        }
        entry.leave = turns.take(what, `peer ${at}`, begin) ?? fail()
        for (const left of asked.splice(0, leaves)) left.leave()
        for (const each of ['a', 'b']) {
          const same = asked.filter((one) => one.what === each)
          expect(same.filter(({ isGiven }) => isGiven)).toHaveLength(Math.min(most, same.length))
        }
      }
      for (const { leave } of asked) leave()
      expect(turns.size).toBe(0)
    }),
  )
})
