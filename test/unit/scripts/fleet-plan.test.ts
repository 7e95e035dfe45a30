import { expect, test } from 'vitest'
import { parseCommand, SCENARIOS } from '../../../scripts/fleet/fleet-plan.ts'
import { UsageError } from '../../../scripts/fleet/option-values.ts'

const parse = (...args: string[]) => parseCommand(args, 'fresh')
const plan = (...args: string[]) => parse(...args).plans[0]

test('runs the first row of the figures three times when nothing is said', () => {
  const { plans, runs, seed } = parse()
  expect(runs).toBe(3)
  expect(seed).toBe('fresh')
  expect(plans).toHaveLength(1)
  expect(plans[0]).toMatchObject({
    system: 'shoal',
    hosts: 16,
    bytes: 128 * 1024 * 1024,
    layers: 4,
    hostRate: 50e6,
    originRate: 100e6,
    spreadMs: 0,
    kill: undefined,
    cutOriginAfter: undefined,
  })
})

test('knows every scenario, several at once, in the order that was asked for', () => {
  const names = Object.keys(SCENARIOS)
  expect(parse('--scenario', names.join(',')).plans.map(({ name }) => name)).toEqual(names)
})

test('an option that is given counts more than what a scenario says', () => {
  const given = plan('--scenario', 'cold-48', '--hosts', '8')
  expect(given).toMatchObject({ hosts: 8, hostRate: 10e6, originRate: 20e6 })
})

test('understands shares, zones, rates and times', () => {
  expect(plan('--kill', '4@33%', '--slow', '1@0.1')).toMatchObject({
    kill: { count: 4, share: 0.33 },
    slow: { count: 1, share: 0.1 },
  })
  expect(plan('--zones', '2@20mbit', '--spread', '20s')).toMatchObject({
    zones: { count: 2, rate: 20e6 },
    spreadMs: 20_000,
  })
  expect(plan('--cut-origin-after', '1.5', '--set', 'a=1', '--set', 'b=2')).toMatchObject({
    cutOriginAfter: 1.5,
    set: ['a=1', 'b=2'],
  })
})

test.each([
  [['--scenario', 'cold-17'], /cold-16/],
  [['--host', '4'], /--hosts/],
  [['--hosts', '0'], /--hosts 0/],
  [['--hosts', '4x'], /--hosts 4x/],
  [['--system', 'spegel'], /registry-proxy/],
  [['--host-rate', '50MiB'], /--host-rate/],
  [['--size', 'big'], /--size/],
  [['--size', '2', '--layers', '3'], /--size/],
  [['--kill', '4'], /--kill/],
  [['--cut-origin-after', '0'], /--seeded/],
  [['--cut', 'burn'], /down, drop/],
  [['--kill', '4@140%'], /--kill/],
  [['--slow', '16@0.1'], /none that is measured/],
  [['--seeded', '1', '--system', 'direct'], /seeded/],
  [['--zones', '1@20mbit'], /--zones/],
  [['stray'], /stray/],
])('%j is refused, and the message says what is wrong', (args, message) => {
  expect(() => parse(...args)).toThrow(UsageError)
  expect(() => parse(...args)).toThrow(message)
})
