/** Runs the plans one after another, each several times, and keeps what is reported of them. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { planChunks } from '../../src/blob/chunk-plan.ts'
import { drawChunks } from './chunk-picture.ts'
import { tableRow } from './figures-table.ts'
import type { FleetCommand, FleetPlan } from './fleet-plan.ts'
import { type FleetImage, fillRegistry } from './fleet-registry.ts'
import { type RunResult, runFleet } from './fleet-run.ts'
import { figuresOf, type RunFigures, worstOf } from './run-figures.ts'
import { readTransferLogs, transferLogOf } from './transfer-logs.ts'

export interface PlanReport {
  readonly plan: FleetPlan
  readonly worst: RunFigures
  readonly runs: readonly { readonly seed: string; readonly figures: RunFigures; readonly seen: RunResult }[]
  /** Of the run whose last host ended last; undefined when it was not asked for, or agents wrote no log. */
  readonly picture: string | undefined
}

interface BenchInit extends FleetCommand {
  /** Empty, for this bench alone. */
  readonly dir: string
  readonly say: (line: string) => void
  /** Its reason ends the bench before the next run. */
  readonly signal: AbortSignal
}

export async function benchPlan(plan: FleetPlan, init: BenchInit): Promise<PlanReport> {
  const { dir, say, signal } = init
  const originDir = join(dir, `origin-${plan.bytes}-${plan.layers}`)
  await mkdir(originDir, { recursive: true })
  const image = await fillRegistry(originDir, { bytes: plan.bytes, layers: plan.layers, seed: init.seed })
  const runs: { seed: string; figures: RunFigures; seen: RunResult }[] = []
  let picture: { readonly last: number; readonly svg: string } | undefined
  for (let number = 1; number <= init.runs; number++) {
    signal.throwIfAborted()
    const seed = `${init.seed} ${plan.name} ${number}`
    const runDir = join(dir, 'run')
    const logTransfers = init.svg !== undefined && plan.system === 'shoal'
    try {
      const seen = await runFleet({ plan, image, originDir, dir: runDir, seed, logTransfers, say })
      signal.throwIfAborted()
      const figures = figuresOf(seen)
      runs.push({ seed, figures, seen })
      say(tableRow({ ...plan, name: `${plan.name} ${number}` }, figures))
      const lines = complaints(seen, figures)
      for (const line of lines.slice(0, SHOWN_COMPLAINTS)) say(`  ! ${line}`)
      if (lines.length > SHOWN_COMPLAINTS) say(`  ! and ${lines.length - SHOWN_COMPLAINTS} more`)
      const last = figures.last ?? Infinity
      if (logTransfers && last >= (picture?.last ?? 0)) {
        const svg = await draw(plan, { image, seen, runDir })
        if (svg !== undefined) picture = { last, svg }
      }
    } finally {
      await rm(runDir, { recursive: true, force: true })
    }
  }
  return { plan, worst: worstOf(runs.map(({ figures }) => figures)), runs, picture: picture?.svg }
}

/** A client that begins late measures the machine, not the system. */
const LATE_MS = 100
const SHOWN_COMPLAINTS = 5

function complaints(seen: RunResult, { lateMs }: RunFigures): string[] {
  const errors = seen.hosts.flatMap(({ role, pull }) => {
    if (role.part === 'killed') return []
    if (pull === undefined) return [`${role.name}: its client was ended`]
    return pull.errors.map((error) => `${role.name}: ${error}`)
  })
  return lateMs > LATE_MS ? [...errors, `a client began ${lateMs.toFixed(0)} ms late`] : errors
}

async function draw(
  plan: FleetPlan,
  { image, seen, runDir }: { image: FleetImage; seen: RunResult; runDir: string },
): Promise<string | undefined> {
  const hosts = seen.hosts.map(({ role }) => role.name)
  const records = await readTransferLogs(new Map(hosts.map((host) => [host, transferLogOf(runDir, host)])))
  if (records.length === 0) return undefined
  return drawChunks(records, {
    title: `${plan.name}: chunks over time, ${plan.hosts} hosts`,
    layers: image.layers.map(({ digest, size }) => ({ digest, chunks: planChunks(size).count })),
    hosts,
    startAt: seen.startAt,
    boundSeconds: seen.boundSeconds,
  })
}
