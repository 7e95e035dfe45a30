/** The runs as they will be once the steps that were decided so far are carried out. Part of `chunk-scheduler`. */

import type { RunView, Snapshot, SourceView, Step } from './chunk-scheduler.ts'
import { ChunkSet } from './chunk-set.ts'
import type { ChunkRange } from './ports.ts'

export interface PlannedRun {
  /** Undefined: it is to be started. */
  readonly id: number | undefined
  readonly view: RunView | undefined
  readonly source: string
  readonly kind: 'origin' | 'peer'
  readonly isSpare: boolean
  readonly askedEnd: number
  next: number
  end: number
}

const NO_RUNS: readonly PlannedRun[] = []

export class RunDraft {
  readonly steps: Step[] = []
  readonly runs: PlannedRun[]
  readonly snapshot: Snapshot
  #covered: ChunkSet | undefined
  #open: ChunkSet | undefined
  #given = 0
  /** Chunks that each source is to be asked for by steps that were decided here. */
  readonly #asked = new Map<string, number>()
  /** By source. */
  #running: Map<string, number> | undefined

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot
    this.runs = snapshot.runs.map((view) => planned(view))
  }

  /** Chunks on the word of unconfirmed signers that may still be asked for. */
  get riskLeft(): number {
    return this.snapshot.riskLeft - this.#given
  }

  /** The run that brings the chunk, spare ones aside. */
  runOf(chunk: number): PlannedRun | undefined {
    return this.runs.find((run) => !run.isSpare && run.next <= chunk && chunk < run.end)
  }

  hasSpare(chunk: number): boolean {
    return this.runs.some((run) => run.isSpare && run.next === chunk)
  }

  runsOf(source: string): readonly PlannedRun[] {
    return this.running(source) > 0 ? this.runs.filter((run) => run.source === source) : NO_RUNS
  }

  running(source: string): number {
    this.#running ??= countedBySource(this.runs)
    return this.#running.get(source) ?? 0
  }

  chunksLeft({ id, chunksLeft }: SourceView): number {
    return this.#asked.size === 0 ? chunksLeft : chunksLeft - (this.#asked.get(id) ?? 0)
  }

  /** Chunks that nobody has or is fetching, as it is now: it changes with each step. */
  get open(): ChunkSet {
    this.#open ??= this.#opened()
    return this.#open
  }

  isOpen(chunk: number): boolean {
    return this.open.has(chunk)
  }

  isCovered(chunk: number): boolean {
    this.#covered ??= this.#cover()
    return this.#covered.has(chunk)
  }

  start(source: SourceView, from: number, to: number, options: { askedEnd?: number; isSpare?: boolean } = {}): void {
    const { askedEnd = to, isSpare = false } = options
    this.steps.push({ type: 'start', source: source.id, from, to, askedEnd, isSpare })
    const kind = source.kind
    this.#asked.set(source.id, (this.#asked.get(source.id) ?? 0) + to - from)
    const run = { id: undefined, view: undefined, source: source.id, kind, isSpare, askedEnd, next: from, end: to }
    this.runs.push(run)
    this.#running?.set(run.source, (this.#running.get(run.source) ?? 0) + 1)
    if (isSpare) return
    this.#covered?.addRange(from, to)
    this.#open?.deleteRange(from, to)
    if (kind === 'peer') for (let c = from; c < to; c++) if (this.snapshot.mayFetch(c) === 'risky') this.#given += 1
  }

  /** @param to the chunk after the last one; before or behind the run's end so far */
  resize(run: PlannedRun, to: number): void {
    if (to === run.end) return
    if (run.id !== undefined) this.steps.push({ type: 'resize', run: run.id, to })
    if (to < run.end) this.#uncover(to, run.end)
    else {
      this.#covered?.addRange(run.end, to)
      this.#open?.deleteRange(run.end, to)
    }
    run.end = to
  }

  ask(ask: { gaps: readonly ChunkRange[]; fetching: readonly ChunkRange[]; most: number }): void {
    this.steps.push({ type: 'ask-lease', ...ask })
  }

  giveUp(run: PlannedRun): void {
    if (run.id !== undefined) this.steps.push({ type: 'give-up', run: run.id })
  }

  #uncover(from: number, to: number): void {
    this.#covered?.deleteRange(from, to)
    if (this.#open === undefined) return
    for (let chunk = from; chunk < to; chunk++) if (this.snapshot.missing.has(chunk)) this.#open.add(chunk)
  }

  #cover(): ChunkSet {
    const covered = new ChunkSet(this.snapshot.plan.count)
    for (const run of this.runs) if (!run.isSpare) covered.addRange(run.next, run.end)
    return covered
  }

  #opened(): ChunkSet {
    this.#covered ??= this.#cover()
    const open = this.snapshot.missing.copy()
    open.deleteAll(this.#covered)
    return open
  }
}

function countedBySource(runs: readonly PlannedRun[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { source } of runs) counts.set(source, (counts.get(source) ?? 0) + 1)
  return counts
}

function planned(view: RunView): PlannedRun {
  const { id, source, kind, isSpare, askedEnd, next, end } = view
  return { id, view, source, kind, isSpare, askedEnd, next, end }
}
