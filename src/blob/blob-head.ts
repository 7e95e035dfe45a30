/**
 * The first bytes of a blob that is shared with others, from the origin, for readers alone: its chunk is fetched like any other. So a reader gets its first
 * byte before the first chunk is here, and before anybody but one peer vouches for it. Owns the request. Used by `Filling` and `Transfer`.
 */
import type { Logger } from '../util/logger.ts'
import { type LinkedSignal, linkSignals } from '../util/signals.ts'
import type { Abortable, ChunkSource, PartialBlob, SourceBody, TransferMetrics } from './ports.ts'
import type { ReadGate } from './read-gate.ts'
import type { TransferRuns } from './transfer-runs.ts'

/** The heads of all agents together cost such a share of a copy. */
const HEADS_SHARE = 0.02
const HEAD_BYTES = { min: 1024, max: 16 * 1024 } as const
/** Where the origin was not asked before the transfer began, a reader waits so long for what peers bring. */
const AFTER_MS = 150

/** @param size bytes of the blob. @param agents that may want it */
export function headBytes(size: number, agents: number): number {
  const share = Math.floor((size * HEADS_SHARE) / Math.max(1, agents))
  return Math.min(HEAD_BYTES.max, Math.max(HEAD_BYTES.min, share))
}

export interface BlobHeadComponents {
  readonly partial: PartialBlob
  readonly gate: Pick<ReadGate, 'addHead' | 'anythingRead' | 'hasReaders'>
  readonly runs: Pick<TransferRuns, 'beside'>
  readonly metrics: Pick<TransferMetrics, 'received'>
  readonly log: Logger
}

export class BlobHead {
  readonly #components: BlobHeadComponents
  #stop: LinkedSignal | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(components: BlobHeadComponents) {
    this.#components = components
  }

  /** Takes over a body of the first bytes. */
  take(source: ChunkSource, body: SourceBody, stop: LinkedSignal): void {
    this.#stop = stop
    void this.#read(body, stop, this.#components.runs.beside(source))
  }

  /** Asks for the head in a while if readers have got nothing by then. @param agents that may want the blob */
  takeLater(source: ChunkSource, agents: number, { signal }: Abortable): void {
    this.#timer = setTimeout(() => void this.#fetch(source, agents, signal), AFTER_MS)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#stop?.abort(new DOMException('the head is not needed', 'AbortError'))
  }

  get #isNeeded(): boolean {
    const { gate } = this.#components
    return gate.hasReaders && !gate.anythingRead
  }

  async #fetch(source: ChunkSource, agents: number, signal: AbortSignal): Promise<void> {
    const { partial, log } = this.#components
    const { size } = partial.plan
    if (!this.#isNeeded || signal.aborted) return
    const stop = linkSignals([signal])
    this.#stop = stop
    try {
      const body = await source.open({ start: 0, end: headBytes(size, agents) }, { signal: stop.signal })
      if (this.#isNeeded && body.ignoresRange !== true && body.totalSize === size) this.take(source, body, stop)
      else {
        this.stop()
        stop[Symbol.dispose]()
      }
    } catch (error) {
      stop[Symbol.dispose]()
      log.debug({ digest: partial.digest, err: error }, 'the first bytes can not be had')
    }
  }

  async #read({ bytes }: SourceBody, stop: LinkedSignal, ended: () => void): Promise<void> {
    const { partial, gate, metrics, log } = this.#components
    try {
      for await (const piece of bytes) {
        metrics.received('origin', piece.length)
        gate.addHead(piece)
      }
    } catch (error) {
      // It is asked again for whatever else it has to bring.
      log.debug({ digest: partial.digest, err: error }, 'the first bytes did not come')
    } finally {
      stop[Symbol.dispose]()
      ended()
    }
  }
}
