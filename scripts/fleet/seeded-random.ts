import { createHash } from 'node:crypto'

/** Choices that are the same for the same seed. */
export class SeededRandom {
  readonly #seed: string
  #drawn = 0

  constructor(seed: string) {
    this.#seed = seed
  }

  /** All of them, in an order of the seed's own. */
  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items]
    return items.map(() => rest.splice(Math.floor(this.#next() * rest.length), 1)[0] as T)
  }

  /** In [0, 1). */
  #next(): number {
    this.#drawn += 1
    return createHash('sha256').update(`${this.#seed} ${this.#drawn}`).digest().readUInt32BE() / 2 ** 32
  }
}
