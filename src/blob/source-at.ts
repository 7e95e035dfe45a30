import type { SourceView } from './chunk-scheduler.ts'
import type { ChunkTrust } from './chunk-trust.ts'
import type { TransferSource } from './transfer-source.ts'

export interface Moment {
  readonly now: number
  readonly trust: Pick<ChunkTrust, 'mayComeFrom'>
  /** As of `TransferSource.chunksLeft`. */
  unjudged(source: TransferSource): number
}

/** A source as it is at one moment, for `chunk-scheduler`. There are many sources and many moments, and little is asked of most: nothing is copied. */
export class SourceAt implements SourceView {
  readonly id: string
  readonly kind: 'origin' | 'peer'
  readonly #source: TransferSource
  readonly #moment: Moment

  constructor(source: TransferSource, moment: Moment) {
    this.id = source.id
    this.kind = source.peer === undefined ? 'origin' : 'peer'
    this.#source = source
    this.#moment = moment
  }

  get maxRuns(): number {
    return this.#source.maxRuns
  }

  get chunksLeft(): number {
    return this.#source.chunksLeft(this.#moment.unjudged(this.#source))
  }

  get bytesPerSecond(): number | undefined {
    return this.#source.bytesPerSecond
  }

  get bytesReceived(): number {
    return this.#source.bytesReceived
  }

  get ignoresRange(): boolean {
    return this.#source.ignoresRange
  }

  get isSlow(): boolean {
    return this.#source.isSlow
  }

  has(index: number): boolean {
    return this.#source.has(index) && this.#moment.trust.mayComeFrom(this.#source.key, index)
  }

  gives(index: number): boolean {
    const { now, trust } = this.#moment
    return this.#source.gives(index, now) && trust.mayComeFrom(this.#source.key, index)
  }
}
