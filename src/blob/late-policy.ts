/** What is done about sources that keep others waiting. Part of `chunk-scheduler`. */
import type { RunView } from './chunk-scheduler.ts'
import type { OriginPolicy } from './origin-policy.ts'
import type { PeerPolicy } from './peer-policy.ts'
import type { PlannedRun, RunDraft } from './run-draft.ts'

/** A peer that sends nothing for so long is left; sooner when a reader waits for it and somebody else could help. */
const STALL_MS = 3_000
const STALL_IN_NEED_MS = 1_500
/** So long the origin may be silent while peers have what it was to send. Without them its own deadlines hold. */
const ORIGIN_STALL_MS = 3_000
/** A reader that waited so long gets its chunk from a second source if the first one will not bring it soon. */
const LATE_MS = 300
const SILENT_MS = 400
const SOON_MS = 1_000
/** Below this, a run that ends last is not divided. */
const WORTH_DIVIDING_MS = 500
/** Chunks that are fetched twice at the same time. */
const MAX_SPARES = 2

export function leaveStalledSources(draft: RunDraft, peers: PeerPolicy): void {
  const { wanted, sources } = draft.snapshot
  // A chunk that is here and held back may have to wait for the whole blob, and so for every run.
  const isAllAwaited = wanted.some(({ chunk }) => draft.snapshot.stateOf(chunk) !== 'missing')
  for (const run of draft.runs) {
    if (run.view === undefined) continue
    if (run.kind === 'origin') {
      const isReplaceable = sources.some((source) => source.kind === 'peer' && source.has(run.next))
      if (run.view.silentMs >= ORIGIN_STALL_MS && isReplaceable) draft.giveUp(run)
      continue
    }
    if (run.view.silentMs < STALL_IN_NEED_MS) continue
    const isAwaited = isAllAwaited || wanted.some(({ chunk }) => run.next <= chunk && chunk < run.end)
    const isReplaceable = sources.some(({ kind, id }) => kind === 'origin' || (id !== run.source && peers.areThere))
    if (run.view.silentMs >= (isAwaited && isReplaceable ? STALL_IN_NEED_MS : STALL_MS)) draft.giveUp(run)
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
  if (draft.open.some((chunk) => peers.canBring(chunk))) return
  for (const run of draft.runs.filter(({ kind, view, isSpare }) => kind === 'peer' && view !== undefined && !isSpare)) {
    if (run.view === undefined || run.view.ageMs < LATE_MS) continue
    if (run.end > run.next + 1 && timeLeft(draft, run, run.view, run.end - 1) > WORTH_DIVIDING_MS) {
      draft.resize(run, run.next + Math.ceil((run.end - run.next) / 2))
      peers.fill()
      origin.fill()
    } else if (isLate(draft, run, run.view, run.next)) bringSpare(draft, peers, origin, run)
  }
}

function bringSpare(draft: RunDraft, peers: PeerPolicy, origin: OriginPolicy, late: PlannedRun): void {
  const spares = draft.runs.filter(({ isSpare }) => isSpare).length
  if (spares >= MAX_SPARES || draft.hasSpare(late.next)) return
  if (!peers.hurry(late.next, late) && late.kind === 'peer') origin.hurry(late.next)
}

function isLate(draft: RunDraft, run: PlannedRun, view: RunView, chunk: number): boolean {
  if (view.silentMs >= SILENT_MS) return true
  return view.ageMs >= LATE_MS && timeLeft(draft, run, view, chunk) > SOON_MS
}

/** Milliseconds until the run will have brought the chunk, at its rate so far. */
function timeLeft(draft: RunDraft, run: PlannedRun, view: RunView, chunk: number): number {
  const bytes = (chunk + 1 - run.next) * draft.snapshot.plan.chunkBytes
  return (bytes * 1_000) / Math.max(1, view.bytesPerSecond)
}
