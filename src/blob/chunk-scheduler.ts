/**
 * Which stretch of a blob is fetched next. Pure: a snapshot in, steps out; `Transfer` carries them out.
 *
 * A run is one request to a source for neighbouring chunks. Alone with the origin, one run over the whole blob is the
 * fastest there is; a reader that waits far ahead of every run (a resumed pull, parallel ranges) gets one of its own.
 */
import type { ChunkPlan } from './chunk-plan.ts'

/**
 * A reader ahead of a run waits for it if it is no further than this, in bytes or in time at the run's rate; else it
 * gets a run of its own. A shorter run costs what is on the wire already, so a fast one is not cut for little.
 */
const REACH_BYTES = 4 * 1024 * 1024
const REACH_SECONDS = 0.25
/** Younger than this, a run has no rate yet. */
const MIN_AGE_MS = 100

export interface RunView {
  readonly id: number
  /** The chunk that is arriving. */
  readonly next: number
  /** The chunk after the last one of the run. */
  readonly end: number
  readonly ageMs: number
  /** Since it began. */
  readonly bytesPerSecond: number
}

export interface Snapshot {
  readonly plan: ChunkPlan
  /** Whether nobody has the chunk or is fetching it. */
  isMissing(index: number): boolean
  readonly runs: readonly RunView[]
  /** Chunks that readers wait for, the longest waiting first. */
  readonly wanted: readonly number[]
  readonly maxRuns: number
}

export type Step =
  | { readonly type: 'start'; readonly from: number; readonly to: number }
  | { readonly type: 'shorten'; readonly run: number; readonly to: number }

export function scheduleRuns(snapshot: Snapshot): Step[] {
  const draft = new Draft(snapshot)
  for (const chunk of snapshot.wanted) draft.serve(chunk)
  if (draft.isIdle) draft.fillFirstGap()
  return draft.steps
}

interface PlannedRun {
  /** Undefined: it is to be started. */
  readonly id: number | undefined
  readonly view: RunView | undefined
  next: number
  end: number
}

class Draft {
  readonly steps: Step[] = []
  readonly #snapshot: Snapshot
  readonly #runs: PlannedRun[]

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
    this.#runs = snapshot.runs.map((run) => ({ id: run.id, next: run.next, end: run.end, view: run }))
  }

  get isIdle(): boolean {
    return this.#runs.length === 0
  }

  serve(chunk: number): void {
    const run = this.#runs.find((candidate) => candidate.next <= chunk && chunk < candidate.end)
    if (run === undefined) {
      if (!this.#snapshot.isMissing(chunk)) return
      if (this.#isFull) this.#cutShortWhatNobodyAwaits()
      else this.#start(chunk, this.#endOfGap(chunk))
    } else if (run.id !== undefined && this.#isBeyondReach(run, chunk) && !this.#isFull) {
      this.steps.push({ type: 'shorten', run: run.id, to: chunk })
      const end = run.end
      run.end = chunk
      this.#start(chunk, end)
    }
  }

  fillFirstGap(): void {
    for (let chunk = 0; chunk < this.#snapshot.plan.count; chunk++) {
      if (this.#snapshot.isMissing(chunk)) {
        this.#start(chunk, this.#endOfGap(chunk))
        return
      }
    }
  }

  get #isFull(): boolean {
    return this.#runs.length >= this.#snapshot.maxRuns
  }

  #isBeyondReach({ next, view }: PlannedRun, chunk: number): boolean {
    const bytes = (chunk - next) * this.#snapshot.plan.chunkBytes
    if (view === undefined || view.ageMs < MIN_AGE_MS || bytes <= REACH_BYTES) return false
    return bytes > view.bytesPerSecond * REACH_SECONDS
  }

  #start(from: number, to: number): void {
    this.steps.push({ type: 'start', from, to })
    this.#runs.push({ id: undefined, next: from, end: to, view: undefined })
  }

  #endOfGap(from: number): number {
    let end = from + 1
    while (end < this.#snapshot.plan.count && this.#snapshot.isMissing(end) && !this.#isTaken(end)) end++
    return end
  }

  #isTaken(chunk: number): boolean {
    return this.#runs.some((run) => run.next <= chunk && chunk < run.end)
  }

  #cutShortWhatNobodyAwaits(): void {
    const idle = this.#runs.find(
      (run) => !this.#snapshot.wanted.some((chunk) => run.next <= chunk && chunk < run.end) && run.end > run.next + 1,
    )
    if (idle?.id === undefined) return
    this.steps.push({ type: 'shorten', run: idle.id, to: idle.next + 1 })
    idle.end = idle.next + 1
  }
}
