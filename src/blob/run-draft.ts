/** The runs as they will be once the steps that were decided so far are carried out. Part of `chunk-scheduler`. */
import type { RunView, Snapshot, SourceView, Step } from './chunk-scheduler.ts'
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

export class RunDraft {
  readonly steps: Step[] = []
  readonly runs: PlannedRun[]
  readonly snapshot: Snapshot
  #covered: Uint8Array | undefined
  #given = 0
  /** Chunks that each source is to be asked for by steps that were decided here. */
  readonly #asked = new Map<string, number>()

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot
    this.runs = snapshot.runs.map((view) => ({ ...view, view }))
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

  running(source: string): number {
    return this.runs.reduce((count, run) => count + (run.source === source ? 1 : 0), 0)
  }

  chunksLeft({ id, chunksLeft }: SourceView): number {
    return chunksLeft - (this.#asked.get(id) ?? 0)
  }

  /** Nobody has the chunk or is fetching it. */
  isOpen(chunk: number): boolean {
    return !this.isCovered(chunk) && this.snapshot.stateOf(chunk) === 'missing'
  }

  isCovered(chunk: number): boolean {
    this.#covered ??= this.#cover()
    return this.#covered[chunk] === 1
  }

  start(source: SourceView, from: number, to: number, options: { askedEnd?: number; isSpare?: boolean } = {}): void {
    const { askedEnd = to, isSpare = false } = options
    this.steps.push({ type: 'start', source: source.id, from, to, askedEnd, isSpare })
    const kind = source.kind
    this.#asked.set(source.id, (this.#asked.get(source.id) ?? 0) + to - from)
    this.runs.push({ id: undefined, view: undefined, source: source.id, kind, isSpare, askedEnd, next: from, end: to })
    if (isSpare) return
    this.#covered?.fill(1, from, to)
    if (kind === 'peer') for (let c = from; c < to; c++) if (this.snapshot.mayFetch(c) === 'risky') this.#given += 1
  }

  /** @param to the chunk after the last one; before or behind the run's end so far */
  resize(run: PlannedRun, to: number): void {
    if (to === run.end) return
    if (run.id !== undefined) this.steps.push({ type: 'resize', run: run.id, to })
    if (to < run.end) this.#covered?.fill(0, to, run.end)
    else this.#covered?.fill(1, run.end, to)
    run.end = to
  }

  ask(ask: { gaps: readonly ChunkRange[]; fetching: readonly ChunkRange[]; most: number }): void {
    this.steps.push({ type: 'ask-lease', ...ask })
  }

  giveUp(run: PlannedRun): void {
    if (run.id !== undefined) this.steps.push({ type: 'give-up', run: run.id })
  }

  #cover(): Uint8Array {
    const covered = new Uint8Array(this.snapshot.plan.count)
    for (const run of this.runs) if (!run.isSpare) covered.fill(1, run.next, run.end)
    return covered
  }
}
