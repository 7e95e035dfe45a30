/**
 * `npm run simulate [-- --hosts 16,1000 …]`: the policy of the agents in a discrete-event simulation; all options are in `simulate/sim-command.ts`. With `--check` the same load
 * runs on the real fleet of `npm run bench:fleet` (needs root), and the two are compared: behind slow links unless told otherwise, for where the CPU is the bound nothing can agree.
 */
import { writeFile } from 'node:fs/promises'
import { UsageError } from './fleet/option-values.ts'
import { checkAgainstBench } from './simulate/sim-check.ts'
import { grainOf, parseSimCommand, type SimCommand } from './simulate/sim-command.ts'
import { type SimFigures, simFigures, simHead, simRow } from './simulate/sim-figures.ts'
import { simulateFleet } from './simulate/sim-fleet.ts'

function command(): SimCommand {
  try {
    return parseSimCommand(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(error.message)
    return process.exit(2)
  }
}

const wanted = command()
const reports: { readonly hosts: number; readonly seed: string; readonly figures: SimFigures }[] = []
console.log(simHead())
for (const plan of wanted.plans) {
  for (let run = 1; run <= wanted.runs; run++) {
    const seed = `${wanted.seed} ${run}`
    const grain = grainOf(plan.hosts)
    const outcome = await simulateFleet({
      plan,
      seed,
      latencyMs: wanted.latencyMs,
      connections: wanted.connections,
      thinkMs: wanted.thinkMs ?? grain.thinkMs,
      quantumBytes: wanted.quantumBytes ?? grain.quantumBytes,
    })
    const figures = simFigures(outcome)
    reports.push({ hosts: plan.hosts, seed, figures })
    console.log(simRow(plan, figures))
    if (figures.failed > 0) process.exitCode = 1
  }
}
if (wanted.json !== undefined) await writeFile(wanted.json, `${JSON.stringify(reports, null, 1)}\n`)
if (wanted.isChecked && !(await checkAgainstBench(wanted, reports))) process.exitCode = 1
