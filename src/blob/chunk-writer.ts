/**
 * Where the bytes of runs go. Each chunk has one writer at a time: the run that covers it. A spare run, and one that comes
 * to a chunk of which there is something already, keeps the chunk in memory; when it is whole it takes the place of the
 * writer, or is held against what is here, or is thrown away. So verified bytes are never written over by chance.
 *
 * Part of `TransferRuns`, which owns the runs.
 */
import { chunkEnd, chunkStart } from './chunk-plan.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ChunkHash, PartialBlob, TransferMetrics } from './ports.ts'
import { cut, KeptChunk, type Run } from './run.ts'

export interface ChunkWriterEvents {
  /** All bytes of the chunk are on disk. `mixed`: they came from several sources. */
  arrived(index: number, ground: 'own' | 'word'): void
  /** Some bytes of the origin's are on disk, or on their way there. */
  progressed(): void
  /** The origin sent a chunk that is here on the word of peers, and it has this hash. */
  compared(index: number, hash: ChunkHash): 'same' | 'other'
  /** The chunk is to be written anew. @returns false when it must stay as it is */
  replacing(index: number): Promise<boolean>
}

export interface ChunkWriterComponents {
  readonly partial: PartialBlob
  readonly chunks: ChunkStates
  readonly metrics: TransferMetrics
  readonly events: ChunkWriterEvents
  /** All that run now. */
  readonly runs: () => Iterable<Run>
  /** Ends a run and resolves when it writes nothing any more. */
  readonly cutShort: (run: Run) => Promise<void>
  /** The same, because another source was faster. */
  readonly overtake: (run: Run) => Promise<void>
  readonly bringers: BringerBook
}

/** Who brought the chunks that wait for their check. */
export class BringerBook {
  readonly #bringers = new Map<number, Run['source'] | 'several'>()
  readonly #counts = new Map<Run['source'], number>()

  set(index: number, bringer: Run['source'] | 'several'): void {
    this.take(index)
    this.#bringers.set(index, bringer)
    if (bringer !== 'several') this.#counts.set(bringer, this.count(bringer) + 1)
  }

  /** How many chunks of this one wait. */
  count(bringer: Run['source']): number {
    return this.#counts.size === 0 ? 0 : (this.#counts.get(bringer) ?? 0)
  }

  /** Undefined: nobody alone. */
  take(index: number): Run['source'] | undefined {
    const bringer = this.#bringers.get(index)
    this.#bringers.delete(index)
    if (bringer === undefined || bringer === 'several') return undefined
    const left = this.count(bringer) - 1
    if (left > 0) this.#counts.set(bringer, left)
    else this.#counts.delete(bringer)
    return bringer
  }
}

export class ChunkWriter {
  readonly #components: ChunkWriterComponents

  constructor(components: ChunkWriterComponents) {
    this.#components = components
  }

  /** Takes what a run has brought, as far as it belongs to the run. */
  async take(run: Run, batch: readonly Uint8Array[]): Promise<void> {
    let rest = batch
    while (rest.length > 0 && run.next < run.end && !run.stop.signal.aborted) {
      rest = this.#isKept(run) ? await this.#keep(run, rest) : await this.#write(run, rest)
    }
  }

  /** The run that is over leaves the chunk in which it was. */
  leave(run: Run): void {
    const { chunks, partial } = this.#components
    if (run.kept !== undefined) {
      this.#wasted(run, run.next, run.kept.bytes)
      run.kept = undefined
      return
    }
    if (run.isSpare) return
    // It was made shorter while these were written.
    while (this.#isWhole(run) && !this.#hasOtherWriter(run)) this.arrived(run)
    if (run.next >= chunks.count || chunks.of(run.next) !== 'absent') return
    const started = chunkStart(partial.plan, run.next)
    if (run.position <= started || this.#isWhole(run)) return
    if (run.isTrusted && !this.#hasOtherWriter(run)) chunks.setReached(run.next, run.position)
    else this.#wasted(run, run.next, run.position - Math.max(started, chunks.reached(run.next) ?? 0))
  }

  #wasted({ source }: Run, chunk: number, bytes: number): void {
    const { metrics, partial } = this.#components
    const { kind } = source.source
    metrics.wasted(kind, bytes)
    metrics.chunk?.({ digest: partial.digest, chunk, source: kind, peer: source.peer?.id, event: 'wasted' })
  }

  /** All of its next chunk is on disk, and not known to be. */
  #isWhole({ next, position }: Run): boolean {
    const { chunks, partial } = this.#components
    return next < chunks.count && chunks.of(next) === 'absent' && position >= chunkEnd(partial.plan, next)
  }

  #hasOtherWriter(run: Run): boolean {
    for (const other of this.#components.runs()) if (other !== run && other.isWriterOf(run.next)) return true
    return false
  }

  #isKept(run: Run): boolean {
    return run.isSpare || run.kept !== undefined || this.#components.chunks.of(run.next) !== 'absent'
  }

  async #write(run: Run, batch: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const { partial, chunks, metrics, events } = this.#components
    const { plan } = partial
    let last = run.next
    while (last + 1 < run.end && chunks.of(last + 1) === 'absent') last += 1
    const { first, rest, bytes } = cut(batch, chunkEnd(plan, last) - run.position)
    if (bytes === 0) {
      // It began where its chunk ends.
      while (this.#isWhole(run)) this.arrived(run)
      return rest
    }
    run.writing = first
    if (run.isTrusted) events.progressed()
    const written = partial.write(run.position, first)
    run.written = written
    try {
      await written
    } finally {
      run.writing = []
    }
    run.position += bytes
    metrics.received(run.source.source.kind, bytes)
    while (run.next < run.end && run.position >= chunkEnd(plan, run.next)) this.arrived(run)
    if (run.isTrusted) events.progressed()
    return rest
  }

  /** The run has written its next chunk to the end. */
  arrived(run: Run): void {
    const { chunks, runs, bringers, events } = this.#components
    const index = run.next
    const isMixed = !run.isTrusted && chunks.reached(index) !== undefined
    bringers.set(index, isMixed ? 'several' : run.source)
    run.next += 1
    events.arrived(index, run.isTrusted ? 'own' : 'word')
    for (const other of runs()) if (other.isSpare && other.next === index) void this.#components.cutShort(other)
  }

  async #keep(run: Run, batch: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const { plan } = this.#components.partial
    run.kept ??= new KeptChunk()
    const { first, rest, bytes } = cut(batch, chunkEnd(plan, run.next) - run.position)
    run.kept.add(first)
    run.position += bytes
    this.#components.metrics.received(run.source.source.kind, bytes)
    if (run.position >= chunkEnd(plan, run.next)) await this.#settle(run, run.kept)
    return rest
  }

  async #settle(run: Run, kept: KeptChunk): Promise<void> {
    const { chunks, events } = this.#components
    const index = run.next
    if (chunks.of(index) === 'absent') await this.#takeOver(run, kept, index)
    else if (chunks.of(index) === 'verified' && run.isTrusted) {
      const isOther = events.compared(index, kept.finish()) === 'other'
      if (isOther && (await events.replacing(index))) await this.#writeKept(run, kept, index)
    }
    if (run.kept !== undefined) this.#wasted(run, index, kept.bytes)
    run.kept = undefined
    run.next = Math.max(run.next, index + 1)
  }

  async #takeOver(run: Run, kept: KeptChunk, index: number): Promise<void> {
    const { chunks, runs } = this.#components
    const writers = [...runs()].filter((other) => other !== run && other.isWriterOf(index))
    // From now on the chunk is this run's, so that nobody else is given it when the writer has left.
    run.isSpare = false
    for (const writer of writers) {
      await this.#components.overtake(writer)
    }
    if (chunks.of(index) === 'absent') await this.#writeKept(run, kept, index)
  }

  async #writeKept(run: Run, kept: KeptChunk, index: number): Promise<void> {
    const { partial, chunks } = this.#components
    const start = chunkStart(partial.plan, index)
    // Readers may have seen what the origin had sent so far: that stays, and is checked together with the rest.
    const from = Math.max(start, chunks.reached(index) ?? start)
    if (run.stop.signal.aborted) return
    const written = partial.write(from, kept.after(from - start))
    run.written = written
    await written
    run.kept = undefined
    this.arrived(run)
  }
}
