import { formatBytes } from '../../src/util/byte-size.ts'
import type { FleetPlan } from './fleet-plan.ts'
import type { RunFigures } from './run-figures.ts'

const HEAD = [
  'scenario',
  'system',
  'N',
  'size',
  'layers',
  'D*',
  'p50/D*',
  'last/D*',
  'copies',
  'over borders',
  'control per host',
  'received beyond a copy',
  'CPU-s/GiB',
  'RSS max',
  'first byte p50',
  'failed',
  'machine',
]

export function tableHead(): string {
  return `${line(HEAD)}\n${line(HEAD.map(() => '---'))}`
}

/** A row of Markdown. A dash is what was not measured, or has no meaning here. */
export function tableRow(plan: FleetPlan, figures: RunFigures): string {
  const { peakMemoryBytes, control, excess } = figures
  return line([
    plan.name,
    plan.system,
    `${plan.hosts}`,
    formatBytes(plan.bytes),
    `${plan.layers}`,
    `${figures.boundSeconds.toFixed(1)} s`,
    digits(figures.p50, 2),
    digits(figures.last, 2),
    digits(figures.copies, 3),
    digits(figures.borderCopies, 2),
    control === undefined ? '–' : `${(100 * control).toFixed(2)} %`,
    excess === undefined ? '–' : `${(100 * excess).toFixed(1)} %`,
    digits(figures.cpuSecondsPerGiB, 1),
    peakMemoryBytes === undefined ? '–' : formatBytes(peakMemoryBytes),
    figures.firstByteSeconds === undefined ? '–' : `${digits(figures.firstByteSeconds, 2)} s`,
    `${figures.failed}`,
    `${(100 * figures.machineShare).toFixed(0)} %`,
  ])
}

function digits(value: number | undefined, count: number): string {
  return value?.toFixed(count) ?? '–'
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
