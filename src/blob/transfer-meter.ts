import type { Clock } from '../util/clock.ts'
import { RateMeter } from '../util/rate-meter.ts'
import type { TransferMetrics } from './ports.ts'

/** Counts what one transfer receives. */
export class TransferMeter {
  /** Takes the place of what it was given, and hands everything on to that. */
  readonly metrics: TransferMetrics
  readonly #clock: Clock
  readonly #rate: RateMeter
  readonly #received = { origin: 0, peer: 0 }

  constructor({ metrics, clock }: { readonly metrics: TransferMetrics; readonly clock: Clock }) {
    this.#clock = clock
    this.#rate = new RateMeter(clock())
    this.metrics = {
      received: (source, bytes) => {
        this.#received[source] += bytes
        this.#rate.add(bytes, clock())
        metrics.received(source, bytes)
      },
      wasted: (source, bytes) => metrics.wasted(source, bytes),
      verified: () => metrics.verified(),
      rejected: (source) => metrics.rejected(source),
      duplicated: (source) => metrics.duplicated(source),
      withoutLeave: () => metrics.withoutLeave?.(),
      transferEnded: (outcome, seconds) => metrics.transferEnded(outcome, seconds),
      passedThrough: () => metrics.passedThrough(),
      chunk: (fate) => metrics.chunk?.(fate),
    }
  }

  /** Bytes so far, the wasted ones among them. */
  get received(): { readonly origin: number; readonly peer: number } {
    return { ...this.#received }
  }

  /** Of late. */
  get bytesPerSecond(): number {
    return this.#rate.bytesPerSecond(this.#clock())
  }
}
