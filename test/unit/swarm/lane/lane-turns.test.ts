import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LaneTurns } from '../../../../src/swarm/lane/lane-turns.ts'

it('gives the same to few at a time, and to others in the order in which they asked', () => {
  const turns = new LaneTurns({ most: 2 })
  const begun: string[] = []
  const take = (who: string, what = 'chunk'): (() => void) => turns.take(what, () => begun.push(who))
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

it('never gives to more at once than it may, leaves nobody waiting while there is room, and forgets what is over', () => {
  const steps = fc.array(fc.record({ what: fc.constantFrom('a', 'b'), leaves: fc.nat(5) }), { maxLength: 100 })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 4 }), (steps, most) => {
      const turns = new LaneTurns({ most })
      const asked: { what: string; isGiven: boolean; leave: () => void }[] = []
      for (const { what, leaves } of steps) {
        const entry = { what, isGiven: false, leave: () => {} }
        asked.push(entry)
        entry.leave = turns.take(what, () => {
          entry.isGiven = true
        })
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
