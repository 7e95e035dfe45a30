/** The figures of one run from what was seen in it, and the worst of several runs. Pure. */
import type { HostRole } from './host-roles.ts'
import type { TimedPull } from './timed-pull.ts'

export interface HostOutcome {
  readonly role: HostRole
  /** Milliseconds since the epoch at which it was told to start. */
  readonly plannedStart: number
  /** Undefined: the client did not come to an end. */
  readonly pull: TimedPull | undefined
}

/** Bytes on links are those of interfaces, from the first client's start to the last one's end. */
export interface RunObservation {
  /** Of one copy of the image. */
  readonly imageBytes: number
  readonly boundSeconds: number
  readonly hosts: readonly HostOutcome[]
  readonly originSent: number
  /** Whole frames, every segment with its headers. */
  readonly originSentOnWire: number
  readonly hostsReceived: number
  /** Into each zone but the origin's. */
  readonly borders: readonly number[]
  /** Of each host that was not killed, in and out. */
  readonly controlBytes: readonly number[]
  readonly cpuSeconds: number
  readonly peakMemory: readonly number[]
  /** Of all cores, 0 to 1, whoever used them. */
  readonly machineShare: number
}

/** Ratios unless the name says otherwise. Undefined: there was nothing to measure. */
export interface RunFigures {
  readonly boundSeconds: number
  readonly p50: number | undefined
  readonly last: number | undefined
  readonly firstByteSeconds: number | undefined
  readonly copies: number
  readonly wireCopies: number
  /** Into the zone that got most. */
  readonly borderCopies: number | undefined
  /** Bytes of the host with most, per byte of the image. */
  readonly control: number | undefined
  /** What hosts received beyond one copy each, per byte of these copies: headers, control, what came twice. */
  readonly excess: number | undefined
  readonly cpuSecondsPerGiB: number | undefined
  readonly peakMemoryBytes: number | undefined
  readonly failed: number
  readonly machineShare: number
  /** How late the latest client began. */
  readonly lateMs: number
}

export function figuresOf(seen: RunObservation): RunFigures {
  const { imageBytes, boundSeconds } = seen
  const pulling = seen.hosts.filter(({ role }) => role.part === 'measured' || role.part === 'slow')
  const done = pulling.filter(({ role, pull }) => role.part === 'measured' && pull?.errors.length === 0)
  const seconds = done.map(({ plannedStart, pull }) => ((pull?.endedAt ?? 0) - plannedStart) / 1000)
  const firstBytes = done
    .filter(({ pull }) => pull?.firstByteAt !== undefined)
    .map(({ plannedStart, pull }) => ((pull?.firstByteAt ?? 0) - plannedStart) / 1000)
  const delivered = sum(seen.hosts.map(({ pull }) => pull?.bytes ?? 0))
  const complete = seen.hosts.every(({ role, pull }) => role.part === 'seed' || pull?.errors.length === 0)
  const wantedBytes = seen.hosts.filter(({ role }) => role.part !== 'seed').length * imageBytes
  const late = seen.hosts.map(({ plannedStart, pull }) => (pull?.startedAt ?? plannedStart) - plannedStart)
  const per = (value: number | undefined): number | undefined => value && value / boundSeconds
  const most = (values: readonly number[]): number | undefined =>
    values.length === 0 ? undefined : Math.max(...values)
  return {
    boundSeconds,
    p50: per(median(seconds)),
    last: per(most(seconds)),
    firstByteSeconds: median(firstBytes),
    copies: seen.originSent / imageBytes,
    wireCopies: seen.originSentOnWire / imageBytes,
    borderCopies: over(most(seen.borders), imageBytes),
    control: over(most(seen.controlBytes), imageBytes),
    excess: complete ? seen.hostsReceived / wantedBytes - 1 : undefined,
    cpuSecondsPerGiB:
      delivered === 0 || seen.peakMemory.length === 0 ? undefined : seen.cpuSeconds / (delivered / 2 ** 30),
    peakMemoryBytes: most(seen.peakMemory),
    failed: pulling.filter(({ pull }) => pull?.errors.length !== 0).length,
    machineShare: seen.machineShare,
    lateMs: Math.max(0, ...late),
  }
}

/** Each figure as it was in the run where it was worst. */
export function worstOf(runs: readonly RunFigures[]): RunFigures {
  const [first, ...rest] = runs
  if (first === undefined) throw new Error('no runs')
  const keys = Object.keys(first) as (keyof RunFigures)[]
  return rest.reduce(
    (worst, run) => Object.assign({}, ...keys.map((key) => ({ [key]: greater(worst[key], run[key]) }))) as RunFigures,
    first,
  )
}

/** The greater of the two in the middle. */
function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}

function greater(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.max(one, other)
}

function over(bytes: number | undefined, of: number): number | undefined {
  return bytes === undefined ? undefined : bytes / of
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
