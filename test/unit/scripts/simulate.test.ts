import { describe, expect, it } from 'vitest'
import { parseCommand } from '../../../scripts/fleet/fleet-plan.ts'
import { UsageError } from '../../../scripts/fleet/option-values.ts'
import { argumentsOf } from '../../../scripts/simulate/sim-check.ts'
import { grainOf, parseSimCommand } from '../../../scripts/simulate/sim-command.ts'
import { type SimFigures, simFigures } from '../../../scripts/simulate/sim-figures.ts'
import { simulateFleet } from '../../../scripts/simulate/sim-fleet.ts'

async function figures(seed: string, ...args: string[]): Promise<SimFigures> {
  const { plans, latencyMs, connections } = parseSimCommand(args)
  const [plan] = plans
  if (plan === undefined) throw new Error('no plan')
  return simFigures(
    await simulateFleet({ plan, seed, latencyMs, connections, ...grainOf(plan.hosts), quantumBytes: 64 * 1024 }),
  )
}

const SMALL = ['--hosts', '8', '--size', '8MiB', '--layers', '1']

describe('a simulated fleet', () => {
  it('gets near the bound from one copy of the origin', async () => {
    const { last, copies, failed } = await figures('a', ...SMALL, '--size', '24MiB')
    expect(failed).toBe(0)
    expect(last).toBeGreaterThan(1)
    expect(last).toBeLessThan(1.5)
    expect(copies).toBeGreaterThanOrEqual(1)
    expect(copies).toBeLessThan(1.1)
  })

  it('is the same for the same seed, and another one for another seed', async () => {
    const timeless = (seen: SimFigures): object => ({ ...seen, callMicroseconds: 0, wallSeconds: 0, rssBytes: 0 })
    const one = timeless(await figures('a', ...SMALL))
    expect(timeless(await figures('a', ...SMALL))).toEqual(one)
    expect(timeless(await figures('b', ...SMALL))).not.toEqual(one)
  })

  it('goes on without hosts that die in the middle', async () => {
    expect((await figures('a', ...SMALL, '--kill', '2')).failed).toBe(0)
  })
})

describe('the options of a simulation', () => {
  it('are those of the real fleet', () => {
    const args = ['--hosts', '16', '--slow', '1', '--zones', '2@20mbit', '--spread', '20', '--kill', '4@33%']
    const [plan] = parseSimCommand(args).plans
    expect(plan).toMatchObject({ hosts: 16, hostRate: 50_000_000, spreadMs: 20_000, slow: { count: 1, share: 0.1 } })
    const [real] = parseCommand(argumentsOf(plan as NonNullable<typeof plan>), 'x').plans
    expect({ ...real, name: '' }).toEqual({ ...plan, name: '' })
  })

  it('are those of links that a small machine carries when it is compared with the real fleet', () => {
    const [plan] = parseSimCommand(['--check']).plans
    expect(plan).toMatchObject({ hosts: 16, bytes: 32 * 1024 * 1024, hostRate: 10_000_000, originRate: 20_000_000 })
    const [faster] = parseSimCommand(['--check', '--host-rate', '25', '--hosts', '8']).plans
    expect(faster).toMatchObject({ hosts: 8, hostRate: 25_000_000 })
  })

  it.each([[['--hosts', '0']], [['--size', 'big']], [['--hots', '4']], [['--hosts', '2', '--kill', '2']]])(
    'are refused when they make no sense: %s',
    (args) => {
      expect(() => parseSimCommand(args)).toThrow(UsageError)
    },
  )
})
