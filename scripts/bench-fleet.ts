/**
 * `npm run bench:fleet [-- --scenario NAME,… --hosts 16 …]`: a fleet on one machine, a network namespace for each host, with
 * links of limited rates; all options are in `fleet/fleet-plan.ts`. Needs root.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { endAll, missing } from '../test/fixtures/child.ts'
import { tableHead, tableRow } from './fleet/figures-table.ts'
import { benchPlan, type PlanReport } from './fleet/fleet-bench.ts'
import { type FleetCommand, parseCommand, SCENARIOS } from './fleet/fleet-plan.ts'
import { wireFactor } from './fleet/link-shape.ts'
import { DIRECTORY_PREFIX, lockBench, removeLeftovers, removeNamespaces } from './fleet/namespaces.ts'
import { UsageError } from './fleet/option-values.ts'

const PROGRAMS = ['ip', 'tc', 'nsenter', 'sysctl', 'iptables', 'iptables-save', 'curl', 'docker-registry']

function stop(message: string): never {
  console.error(message)
  process.exit(2)
}

function command(): FleetCommand {
  try {
    return parseCommand(process.argv.slice(2), randomBytes(4).toString('hex'))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return stop(`${error.message}\nscenarios: ${Object.keys(SCENARIOS).join(', ')}`)
  }
}

const wanted = command()
const absent = missing(PROGRAMS, { root: true })
if (absent !== undefined) stop(`bench:fleet: ${absent}`)
const lock = await lockBench()
if (lock === undefined) stop('bench:fleet: another one runs on this machine')

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    process.once(signal, () => process.exit(130))
    interruption.abort(new Error(`ended by ${signal}`))
    // whatever is waited for ends with its process
    void endAll()
  })
}

await removeLeftovers()
const dir = await mkdtemp(DIRECTORY_PREFIX)
const say = (line: string): void => console.log(line)
const reports: PlanReport[] = []
say(`${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}, seed ${wanted.seed}`)
const factors = [...new Set(wanted.plans.map(({ mtu }) => mtu))].map(
  (mtu) => `${wireFactor(mtu).toFixed(4)} (MTU ${mtu})`,
)
say(`rates are those of whole frames; bytes on the wire for one of content: ${factors.join(', ')}\n`)
say(tableHead())
try {
  for (const plan of wanted.plans)
    reports.push(await benchPlan(plan, { ...wanted, dir, say, signal: interruption.signal }))
} catch (error) {
  console.error(interruption.signal.aborted ? String(interruption.signal.reason) : error)
  process.exitCode = 1
} finally {
  try {
    await removeNamespaces()
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
if (reports.length > 0) await publish(reports)

async function publish(reports: readonly PlanReport[]): Promise<void> {
  say(`\nworst of ${wanted.runs}:\n\n${tableHead()}`)
  for (const { plan, worst } of reports) say(tableRow(plan, worst))
  if (wanted.json !== undefined)
    await writeFile(wanted.json, `${JSON.stringify({ seed: wanted.seed, reports }, null, 1)}\n`)
  if (wanted.svg === undefined) return
  for (const { plan, picture } of reports) {
    const file = reports.length > 1 ? wanted.svg.replace(/(\.svg)?$/, `-${plan.name}.svg`) : wanted.svg
    if (picture === undefined) say(`no picture of ${plan.name}: there is no transfer log`)
    else await writeFile(file, picture)
  }
}
