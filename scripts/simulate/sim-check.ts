import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PlanReport } from '../fleet/fleet-bench.ts'
import type { FleetPlan } from '../fleet/fleet-plan.ts'
import type { SimCommand } from './sim-command.ts'
import type { SimFigures } from './sim-figures.ts'

const BENCH = fileURLToPath(new URL('../bench-fleet.ts', import.meta.url))
/** The two agree when they differ by no more. */
const TOLERANCE = 0.15
const MEASURES = ['p50', 'last', 'copies'] as const
/** A machine that is busier is what bounds the fleet, and not the links: a difference says nothing. */
const MOST_BUSY = 0.85

/** Runs the load of each plan on this machine. @returns whether all agree, on a machine that was not the bound */
export async function checkAgainstBench(
  command: SimCommand,
  simulated: readonly { readonly hosts: number; readonly figures: SimFigures }[],
): Promise<boolean> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-simulate-'))
  let agrees = true
  try {
    for (const plan of command.plans) {
      const json = join(dir, `${plan.hosts}.json`)
      await runBench([...argumentsOf(plan), '--runs', `${command.runs}`, '--json', json])
      const { reports } = JSON.parse(await readFile(json, 'utf8')) as { reports: readonly PlanReport[] }
      const real = (reports[0]?.runs ?? []).map(({ figures }) => figures)
      const busy = Math.max(0, ...real.map(({ machineShare }) => machineShare))
      if (busy > MOST_BUSY) {
        agrees = false
        console.log(
          `N=${plan.hosts}: the machine was ${(100 * busy).toFixed(0)} % busy, and is the bound: try slower links, ` +
            `as --host-rate ${plan.hostRate / 2e6} --origin-rate ${plan.originRate / 2e6}`,
        )
      }
      const ours = simulated.filter(({ hosts }) => hosts === plan.hosts).map(({ figures }) => figures)
      for (const measure of MEASURES) {
        const bench = middle(real.flatMap((figures) => figures[measure] ?? []))
        const sim = middle(ours.map((figures) => figures[measure]))
        const difference = sim / bench - 1
        const isNear = Math.abs(difference) <= TOLERANCE
        agrees &&= isNear
        console.log(
          `N=${plan.hosts} ${measure}: simulated ${sim.toFixed(3)}, real ${bench.toFixed(3)}, ` +
            `${(100 * difference).toFixed(1)} %${isNear ? '' : ': more than 15 %'}`,
        )
      }
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  return agrees
}

/** Options of `bench:fleet` for the same load. */
export function argumentsOf(plan: FleetPlan): string[] {
  const { kill, slow, zones } = plan
  const options = {
    hosts: plan.hosts,
    size: plan.bytes,
    layers: plan.layers,
    'host-rate': `${plan.hostRate}bit`,
    'origin-rate': `${plan.originRate}bit`,
    spread: `${plan.spreadMs}ms`,
    queue: `${plan.queueMs}ms`,
    seeded: plan.seeded,
    ...(kill && { kill: `${kill.count}@${kill.share}` }),
    ...(slow && { slow: `${slow.count}@${slow.share}` }),
    ...(zones && { zones: `${zones.count}@${zones.rate}bit` }),
  }
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`])
}

async function runBench(args: readonly string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const child = spawn(process.execPath, [BENCH, ...args], { stdio: 'inherit' })
  child.once('error', reject)
  child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`bench:fleet ended with ${code}`))))
  await promise
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
