import { raceAbort } from './race-abort.ts'

/** So many at once; the others wait in the order in which they came. */
export class Slots {
  #free: number
  readonly #waiting: PromiseWithResolvers<void>[] = []

  constructor(init: { readonly most: number }) {
    this.#free = init.most
  }

  /** @throws the signal's reason */
  async run<T>(work: () => Promise<T>, { signal }: { readonly signal: AbortSignal }): Promise<T> {
    await this.#take(signal)
    try {
      return await work()
    } finally {
      this.#giveBack()
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    const turn = Promise.withResolvers<void>()
    this.#waiting.push(turn)
    try {
      await raceAbort(turn.promise, signal)
    } catch (error) {
      const at = this.#waiting.indexOf(turn)
      if (at === -1) this.#giveBack()
      else this.#waiting.splice(at, 1)
      throw error
    }
  }

  #giveBack(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next.resolve()
  }
}
