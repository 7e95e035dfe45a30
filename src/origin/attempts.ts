import type { Abortable } from '../blob/ports.ts'
import type { Clock } from '../util/clock.ts'
import { type Backoff, backoffMs, wait } from './backoff.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { OriginFailure, toAborted, toOriginFailure } from './origin-failure.ts'

export interface AttemptsInit {
  readonly tries: number
  readonly backoff: Backoff
  /** No further try begins when so many milliseconds have passed since the first one. */
  readonly windowMs: number
}

interface AttemptOptions extends Abortable {
  readonly registry: string
  /** What the circuit breaker counts as one host. */
  readonly host: string
  readonly tries?: number | undefined
}

/** Tries again what may succeed the next time, and tells the circuit breaker what became of it. */
export class Attempts {
  readonly #clock: Clock
  readonly #breaker: CircuitBreaker
  readonly #init: AttemptsInit

  constructor(components: { clock: Clock; breaker: CircuitBreaker }, init: AttemptsInit) {
    this.#clock = components.clock
    this.#breaker = components.breaker
    this.#init = init
  }

  /** @throws ShoalError the last try's */
  async run<T>(once: () => Promise<T>, options: AttemptOptions): Promise<T> {
    const { host, signal, tries = this.#init.tries } = options
    const begun = this.#clock()
    for (let failures = 1; ; failures += 1) {
      if (signal.aborted) throw toAborted(signal)
      const probe = this.#breaker.enter(host)
      const failure = await this.#try(once, options)
      if (!('error' in failure)) return failure.value
      const { error } = failure
      const again = error instanceof OriginFailure && error.again && !(probe && error.unreachable)
      const late = this.#clock() - begun >= this.#init.windowMs
      if (!again || failures >= tries || late) {
        if (error instanceof OriginFailure && error.unreachable) this.#breaker.unreachable(host, error)
        throw error
      }
      await wait(backoffMs(this.#init.backoff, failures, error), { signal })
    }
  }

  async #try<T>(once: () => Promise<T>, { registry, host, signal }: AttemptOptions) {
    try {
      const value = await once()
      this.#breaker.reached(host)
      return { value }
    } catch (thrown) {
      const error = toOriginFailure(registry, thrown, signal)
      const reached = error instanceof OriginFailure && !error.unreachable
      if (reached) this.#breaker.reached(host)
      else if (!(error instanceof OriginFailure)) this.#breaker.gaveUp(host)
      return { error }
    }
  }
}
