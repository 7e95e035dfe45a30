import { isOutage } from '../errors.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'

/** A mirror that kept a request waiting for so long, until nobody waited any more, counts as one that fails. */
const SLOW_MS = 1_000

/** Which mirrors did not answer when they were asked last. A mirror that answers that it has nothing does answer. */
export class FailingMirrors {
  readonly #failing = new Set<string>()

  has({ base }: RegistryEndpoint): boolean {
    return this.#failing.has(base.href)
  }

  answered({ base }: RegistryEndpoint): void {
    this.#failing.delete(base.href)
  }

  failed({ base }: RegistryEndpoint, error: unknown): void {
    if (isOutage(error)) this.#failing.add(base.href)
    else this.#failing.delete(base.href)
  }

  /** Nobody waits for its answer any more. */
  gaveUp({ base }: RegistryEndpoint, waitedMs: number): void {
    if (waitedMs >= SLOW_MS) this.#failing.add(base.href)
  }
}
