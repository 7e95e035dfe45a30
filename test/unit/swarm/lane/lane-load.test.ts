import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LaneLoad } from '../../../../src/swarm/lane/lane-load.ts'

it('tells one peer too many requests from too many of all peers', () => {
  const load = new LaneLoad({ requestsPerPeer: 2, requests: 3 })
  expect(load.enter('a')).toBeTypeOf('function')
  expect(load.enter('a')).toBeTypeOf('function')
  expect(load.enter('a')).toBe('peer-full')
  expect(load.enter('b')).toBeTypeOf('function')
  expect(load.enter('c')).toBe('full')
})

it('never lets more in than its bounds, and forgets what has left', () => {
  const steps = fc.array(fc.record({ peer: fc.constantFrom('a', 'b', 'c'), leave: fc.boolean() }), { maxLength: 200 })
  fc.assert(
    fc.property(steps, (steps) => {
      const load = new LaneLoad({ requestsPerPeer: 3, requests: 5 })
      const running: { peer: string; leave: () => void }[] = []
      for (const { peer, leave } of steps) {
        if (leave) {
          const one = running.shift()
          one?.leave()
          // a second time changes nothing
          one?.leave()
          continue
        }
        const own = running.filter((one) => one.peer === peer).length
        const entered = load.enter(peer)
        const expected = own === 3 ? 'peer-full' : running.length === 5 ? 'full' : 'entered'
        expect(typeof entered === 'string' ? entered : 'entered').toBe(expected)
        if (typeof entered !== 'string') running.push({ peer, leave: entered })
      }
    }),
  )
})
