import type { SourceView } from './chunk-scheduler.ts'
import type { ChunkTrust } from './chunk-trust.ts'
import type { TransferSource } from './transfer-source.ts'

export interface Moment {
  readonly now: number
  readonly trust: Pick<ChunkTrust, 'mayComeFrom'>
}

/** A source as it is at one moment, for `chunk-scheduler`: there are many, and many moments. */
export class SourceAt implements SourceView {
  readonly id: string
  readonly kind: 'origin' | 'peer'
  readonly maxRuns: number
  readonly chunksLeft: number
  readonly bytesPerSecond: number | undefined
  readonly bytesReceived: number
  readonly ignoresRange: boolean
  readonly isSlow: boolean
  readonly #source: TransferSource
  readonly #moment: Moment

  constructor(source: TransferSource, moment: Moment, unjudged: number) {
    this.id = source.id
    this.kind = source.source.kind
    this.maxRuns = source.maxRuns
    this.chunksLeft = source.chunksLeft(unjudged)
    this.bytesPerSecond = source.bytesPerSecond
    this.bytesReceived = source.bytesReceived
    this.ignoresRange = source.ignoresRange
    this.isSlow = source.isSlow
    this.#source = source
    this.#moment = moment
  }

  has(index: number): boolean {
    return this.#source.has(index) && this.#moment.trust.mayComeFrom(this.#source.key, index)
  }

  gives(index: number): boolean {
    const { now, trust } = this.#moment
    return this.#source.gives(index, now) && trust.mayComeFrom(this.#source.key, index)
  }
}
