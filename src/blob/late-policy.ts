/** What is done about sources that keep others waiting. Part of `chunk-scheduler`. */
import { patience } from '../util/lateness.ts'
import type { RunView, Snapshot } from './chunk-scheduler.ts'
import type { OriginPolicy } from './origin-policy.ts'
import type { PeerPolicy } from './peer-policy.ts'
import type { PlannedRun, RunDraft } from './run-draft.ts'

/**
 * A peer that sends nothing for so long is left; sooner when a reader waits for it and somebody else could help. But not before it was
 * silent for so many times what counts as silence.
 */
const STALL_MS = 3_000
const STALL_IN_NEED_MS = 1_500
const STALL_TIMES = 2
const MAX_STALL_MS = 6_000
/** So long the origin may be silent while peers have what it was to send. Without them its own deadlines hold. */
const ORIGIN_STALL_MS = 3_000
/** A reader that waited so long gets its chunk from a second source if the first one will not bring it soon. */
const LATE_MS = 300
const SOON_MS = 1_000
/** But only from one that can be expected to bring it in this share of the time that the first one will still take: where all links are full, everything is late. */
const WORTH_SHARE = 0.5
/** What comes slowly comes in fits and starts: a run is silent when nothing came in the time that so many bytes take at its rate, within bounds. */
const SILENT_BYTES = 64 * 1024
const SILENT_MS = { min: 400, max: 1_500 } as const
/** What came of a run that is younger, and brought less, does not tell how fast it is. */
const RATED = { bytes: 64 * 1024, ms: 2_000 } as const
/** Below this, a run that ends last is not divided. */
const WORTH_DIVIDING_MS = 500
/** Chunks that are fetched twice at the same time. */
const MAX_SPARES = 2

type SilenceFacts = Pick<Snapshot, 'runs' | 'peersBytesPerSecond' | 'leases'>

export function leaveStalledSources(draft: RunDraft, peers: PeerPolicy): void {
  const { wanted, sources } = draft.snapshot
  // A chunk that is here and held back may have to wait for the whole blob, and so for every run.
  const isAllAwaited = wanted.some(({ chunk }) => draft.snapshot.stateOf(chunk) !== 'missing')
  for (const run of draft.runs) {
    if (run.view === undefined) continue
    if (run.kind === 'origin') {
      if (run.view.silentMs >= ORIGIN_STALL_MS && peers.have(run.next)) draft.giveUp(run)
      continue
    }
    if (run.view.silentMs < STALL_IN_NEED_MS) continue
    const isAwaited = isAllAwaited || wanted.some(({ chunk }) => run.next <= chunk && chunk < run.end)
    const isReplaceable = sources.some(({ kind, id }) => kind === 'origin' || (id !== run.source && peers.areThere))
    const stallMs = isAwaited && isReplaceable ? STALL_IN_NEED_MS : STALL_MS
    const usualMs = Math.min(MAX_STALL_MS, STALL_TIMES * silenceMs(run.view, draft.snapshot))
    if (run.view.silentMs >= Math.max(stallMs, usualMs)) draft.giveUp(run)
  }
}

export function hurryLateChunks(draft: RunDraft, peers: PeerPolicy, origin: OriginPolicy): void {
  if (!peers.areThere) return
  const { wanted } = draft.snapshot
  for (const { chunk, waitedMs } of wanted) {
    const run = draft.runOf(chunk)
    if (waitedMs < LATE_MS || run?.view === undefined || !isLate(draft, run, run.view, chunk)) continue
    if (chunk > run.next) {
      draft.resize(run, chunk)
      if (!peers.serve(chunk)) origin.serve(chunk)
    } else bringSpare(draft, peers, origin, run)
  }
  helpTheLast(draft, peers, origin)
}

/** When nothing is left to begin, sources that are idle take over from those that would end last. */
function helpTheLast(draft: RunDraft, peers: PeerPolicy, origin: OriginPolicy): void {
  const last = draft.runs.filter((run) => isWorthDividing(draft, run) || isWorthASpare(draft, run))
  if (last.length === 0 || draft.open.some((chunk) => peers.canBring(chunk))) return
  for (const run of last) {
    if (isWorthDividing(draft, run)) {
      draft.resize(run, run.next + Math.ceil((run.end - run.next) / 2))
      peers.fill()
      origin.fill()
    } else bringSpare(draft, peers, origin, run)
  }
}

function isWorthDividing(draft: RunDraft, run: PlannedRun): boolean {
  if (!isOldOfPeer(run) || run.end <= run.next + 1) return false
  return timeLeft(draft, run, run.view, run.end - 1) > WORTH_DIVIDING_MS
}

function isWorthASpare(draft: RunDraft, run: PlannedRun): boolean {
  return isOldOfPeer(run) && isLate(draft, run, run.view, run.next)
}

function isOldOfPeer(run: PlannedRun): run is PlannedRun & { readonly view: RunView } {
  return run.kind === 'peer' && !run.isSpare && run.view !== undefined && run.view.ageMs >= LATE_MS
}

function bringSpare(draft: RunDraft, peers: PeerPolicy, origin: OriginPolicy, late: PlannedRun): void {
  const spares = draft.runs.filter(({ isSpare }) => isSpare)
  if (late.view === undefined || spares.length >= MAX_SPARES || draft.hasSpare(late.next)) return
  const begun = spares.filter(({ id }) => id === undefined).length
  if (draft.snapshot.sparesLeft - begun < 1 && !isSilent(late.view, draft.snapshot)) return
  const withinMs = WORTH_SHARE * timeLeft(draft, late, late.view, late.next)
  if (!peers.hurry(late.next, late, withinMs) && late.kind === 'peer') origin.hurry(late.next)
}

/** Nothing has come from it for longer than its rate or that of the others, and how late this agent itself is, explain. */
export function isSilent(view: RunView, snapshot: SilenceFacts): boolean {
  return view.silentMs >= SILENT_MS.min && view.silentMs >= silenceMs(view, snapshot)
}

function silenceMs(view: RunView, { runs, peersBytesPerSecond, leases }: SilenceFacts): number {
  const usualRate = peersBytesPerSecond / Math.max(1, runs.length)
  // as long as something came
  const ownRate = (view.bytesPerSecond * view.ageMs) / Math.max(1, view.ageMs - view.silentMs)
  const slowest = Math.min(...[ownRate, usualRate].filter((rate) => rate > 0))
  const baseMs = Math.min(SILENT_MS.max, Math.max(SILENT_MS.min, (SILENT_BYTES * 1_000) / slowest))
  return patience(baseMs, leases?.lateMs ?? 0)
}

function isLate(draft: RunDraft, run: PlannedRun, view: RunView, chunk: number): boolean {
  return isSilent(view, draft.snapshot) || (view.ageMs >= LATE_MS && timeLeft(draft, run, view, chunk) > SOON_MS)
}

/** Milliseconds until the run will have brought the chunk, at its rate so far; for ever, when it is silent; 0 before it has a rate. */
function timeLeft(draft: RunDraft, run: PlannedRun, view: RunView, chunk: number): number {
  if (isSilent(view, draft.snapshot)) return Number.POSITIVE_INFINITY
  if ((view.bytesPerSecond * view.ageMs) / 1_000 < RATED.bytes && view.ageMs < RATED.ms) return 0
  const bytes = (chunk + 1 - run.next) * draft.snapshot.plan.chunkBytes - view.arrivedBytes
  return (bytes * 1_000) / Math.max(1, view.bytesPerSecond)
}
