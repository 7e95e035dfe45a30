import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type FleetPlan, parseCommand } from '../../../scripts/fleet/fleet-plan.ts'
import { assignRoles, boundOf } from '../../../scripts/fleet/host-roles.ts'

const BYTES = 128 * 1024 * 1024

function plan(...args: string[]): FleetPlan {
  const [only] = parseCommand(args, 'seed').plans
  if (only === undefined) throw new Error('no plan')
  return only
}

test('gives every part to as many hosts as the plan says, the same ones for the same seed', () => {
  const mixed = plan('--seeded', '2', '--slow', '3@0.1', '--kill', '4@33%')
  fc.assert(
    fc.property(fc.string(), (seed) => {
      const roles = assignRoles(mixed, seed)
      const count = (part: string) => roles.filter((role) => role.part === part).length
      expect([count('seed'), count('slow'), count('killed'), count('measured')]).toEqual([2, 3, 4, 7])
      expect(roles.filter(({ rate }) => rate === 5e6).map(({ part }) => part)).toEqual(['slow', 'slow', 'slow'])
      expect(assignRoles(mixed, seed)).toEqual(roles)
    }),
  )
})

test('another seed chooses other hosts', () => {
  const killing = plan('--kill', '4@33%')
  const chosen = new Set(['a', 'b', 'c', 'd'].map((seed) => JSON.stringify(assignRoles(killing, seed))))
  expect(chosen.size).toBe(4)
})

test('spreads starts evenly, from the first moment to the last', () => {
  const starts = assignRoles(plan('--hosts', '5', '--spread', '20s'), 'x').map(({ startMs }) => startMs)
  expect(starts.toSorted((a, b) => a - b)).toEqual([0, 5_000, 10_000, 15_000, 20_000])
})

test('puts hosts into zones in turn', () => {
  const roles = assignRoles(plan('--hosts', '4', '--zones', '2@20mbit'), 'x')
  expect(roles.map(({ zone }) => zone)).toEqual([0, 1, 0, 1])
})

test.each([
  ['of all hosts when they start at once', [], (BYTES * 8) / 50e6],
  ['without the slow host', ['--slow', '1@0.1'], (BYTES * 8) / 50e6],
  [
    'of one host alone when starts are spread',
    ['--spread', '20s', '--hosts', '40', '--origin-rate', '50mbit'],
    (BYTES * 8) / 50e6,
  ],
  ['from one seed without an origin', ['--seeded', '1', '--cut-origin-after', '0'], (BYTES * 8) / 50e6],
  ['over the border between zones', ['--zones', '2@20mbit'], (BYTES * 8) / 20e6],
])('the bound is that %s', (_, args, seconds) => {
  const wanted = plan(...args)
  expect(boundOf(wanted, assignRoles(wanted, 'x'), BYTES)).toBeCloseTo(seconds, 6)
})
