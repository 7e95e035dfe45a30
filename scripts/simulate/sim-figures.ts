import { formatBytes } from '../../src/util/byte-size.ts'
import type { FleetPlan } from '../fleet/fleet-plan.ts'
import type { SimOutcome } from './sim-fleet.ts'

/** Ratios unless the name says otherwise. */
export interface SimFigures {
  readonly boundSeconds: number
  readonly p50: number
  readonly last: number
  readonly copies: number
  readonly borderCopies: number
  readonly firstByteSeconds: number
  /** Of the host with most, per byte of the image. */
  readonly control: number
  readonly controlMean: number
  /** Per host and second. */
  readonly messages: { readonly mean: number; readonly peak: number }
  readonly leases: { readonly mean: number; readonly peak: number; readonly coordinators: number }
  readonly failed: number
  /** Of the policy on this machine. */
  readonly calls: number
  readonly callMicroseconds: number
  readonly wallSeconds: number
  /** The most that this process took so far. */
  readonly rssBytes: number
}

/**
 * What one agent can carry, messages per second. One `more` with two statements takes 79 µs of CPU for both ends (CBOR, frames and the cipher of noise; measured), and
 * an agent may take a tenth of a core beside its host's work. Signatures, streams and system calls come on top: the share is a lower bound.
 */
export const CARRIED_PER_SECOND = 2_500

export function simFigures(seen: SimOutcome): SimFigures {
  const { boundSeconds, imageBytes, tally } = seen
  const pulling = seen.hosts.filter(({ role }) => role.part === 'measured' || role.part === 'slow')
  const measured = pulling.filter(({ role }) => role.part === 'measured')
  const seconds = measured.flatMap(({ startedAt, endedAt }) =>
    startedAt === undefined || endedAt === undefined ? [] : [(endedAt - startedAt) / 1_000],
  )
  const firstBytes = measured.flatMap(({ startedAt, firstByteAt }) =>
    startedAt === undefined || firstByteAt === undefined ? [] : [(firstByteAt - startedAt) / 1_000],
  )
  return {
    boundSeconds,
    p50: median(seconds) / boundSeconds,
    last: seconds.reduce((most, one) => Math.max(most, one), 0) / boundSeconds,
    copies: seen.originBytes / imageBytes,
    borderCopies: seen.borderBytes / imageBytes,
    firstByteSeconds: median(firstBytes),
    control: tally.controlBytes / imageBytes,
    controlMean: tally.controlBytesMean / imageBytes,
    messages: tally.messageRates(seen.seconds),
    leases: tally.leaseRates(seen.seconds),
    failed: pulling.filter(({ endedAt }) => endedAt === undefined).length,
    calls: tally.calls,
    callMicroseconds: (1_000 * tally.callMs) / Math.max(1, tally.calls),
    wallSeconds: seen.wallSeconds,
    rssBytes: seen.rssBytes,
  }
}

const HEAD = [
  'N',
  'size',
  'layers',
  'D*',
  'p50/D*',
  'last/D*',
  'copies',
  'over borders',
  'first byte p50',
  'control most (mean)',
  'messages/s per host mean, peak',
  'leases/s per coordinator mean, peak',
  'of what it can carry',
  'failed',
  'policy calls',
  'simulated in, memory',
]

export function simHead(): string {
  return `${line(HEAD)}\n${line(HEAD.map(() => '---'))}`
}

export function simRow(plan: FleetPlan, figures: SimFigures): string {
  const { messages, leases } = figures
  return line([
    `${plan.hosts}`,
    formatBytes(plan.bytes),
    `${plan.layers}`,
    `${figures.boundSeconds.toFixed(1)} s`,
    figures.p50.toFixed(3),
    figures.last.toFixed(3),
    figures.copies.toFixed(3),
    plan.zones === undefined ? '–' : figures.borderCopies.toFixed(2),
    `${figures.firstByteSeconds.toFixed(3)} s`,
    `${(100 * figures.control).toFixed(2)} % (${(100 * figures.controlMean).toFixed(2)} %)`,
    `${messages.mean.toFixed(0)}, ${messages.peak}`,
    `${leases.mean.toFixed(0)}, ${leases.peak} (${leases.coordinators})`,
    `${((100 * messages.peak) / CARRIED_PER_SECOND).toFixed(0)} %`,
    `${figures.failed}`,
    `${figures.calls}, ${figures.callMicroseconds.toFixed(0)} µs`,
    `${figures.wallSeconds.toFixed(1)} s, ${formatBytes(figures.rssBytes)}`,
  ])
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
