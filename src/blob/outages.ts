import { isOutage, ShoalError } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import { linkSignals } from '../util/signals.ts'
import type { Abortable } from './ports.ts'

/** For how long an origin that could not be asked is not asked again when an earlier answer could stand in. */
const MEMORY_MS = 15_000

/**
 * Which registries could not be asked of late. An earlier answer stands in soon then: a client does not wait for the whole
 * patience of the origin client at each step of a pull.
 */
export class Outages {
  readonly #clock: Clock
  readonly #patienceMs: number
  readonly #until = new Map<string, number>()

  /** @param init.patienceMs how long a registry is waited for when an earlier answer of it could stand in */
  constructor(components: { clock: Clock }, init: { patienceMs: number }) {
    this.#clock = components.clock
    this.#patienceMs = init.patienceMs
  }

  /**
   * Asks the registry. @param options.hasStandIn whether an earlier answer could take the place of this one
   * @throws ShoalError what `ask` throws; an outage when the patience is over or the registry was out just now
   */
  async ask<T>(
    registry: string,
    { signal, hasStandIn }: Abortable & { readonly hasStandIn: boolean },
    ask: (options: Abortable) => Promise<T>,
  ): Promise<T> {
    if (hasStandIn && (this.#until.get(registry) ?? 0) > this.#clock()) {
      throw new ShoalError('ORIGIN_UNAVAILABLE', 'the registry could not be asked just now', { detail: { registry } })
    }
    using limited = linkSignals([signal], hasStandIn ? this.#patienceMs : undefined)
    try {
      const answer = await ask(limited)
      this.#until.delete(registry)
      return answer
    } catch (error) {
      signal.throwIfAborted()
      const isLate = limited.signal.aborted
      if (!isLate && !isOutage(error)) throw error
      this.#until.set(registry, this.#clock() + MEMORY_MS)
      if (!isLate) throw error
      throw new ShoalError('STALLED', 'the registry does not answer in time', { cause: error, detail: { registry } })
    }
  }
}
