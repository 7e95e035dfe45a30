/** Lets one piece of work at a time run for each key, in the order of the calls. */
export class KeyedLock<Key> {
  readonly #tails = new Map<Key, Promise<void>>()

  async run<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const done = Promise.withResolvers<void>()
    this.#tails.set(key, done.promise)
    try {
      await before
      return await work()
    } finally {
      if (this.#tails.get(key) === done.promise) this.#tails.delete(key)
      done.resolve()
    }
  }

  /** Until everything that was asked for so far has run. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values())
  }
}
