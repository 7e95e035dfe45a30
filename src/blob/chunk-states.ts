/** What is known of each chunk of a partial blob. Owned by one `Transfer`. */

/**
 * - absent: not on disk
 * - claimed: on disk with a hash that is not checked yet; nobody may read it
 * - received: on disk, from the origin itself, not hashed yet
 * - verified: on disk and hashed
 */
export type ChunkState = 'absent' | 'claimed' | 'received' | 'verified'

export class ChunkStates {
  readonly #states: ChunkState[]
  /** Where the next byte of an absent chunk goes, for those that began to arrive. */
  readonly #reached = new Map<number, number>()
  #verified = 0

  constructor(count: number) {
    this.#states = Array.from({ length: count }, () => 'absent')
  }

  get count(): number {
    return this.#states.length
  }

  get verifiedCount(): number {
    return this.#verified
  }

  of(index: number): ChunkState {
    const state = this.#states[index]
    if (state === undefined) throw new RangeError(`no chunk ${index} of ${this.count}`)
    return state
  }

  set(index: number, state: ChunkState): void {
    if (this.of(index) === 'verified') this.#verified -= 1
    if (state === 'verified') this.#verified += 1
    this.#states[index] = state
    this.#reached.delete(index)
  }

  /** The position up to which an absent chunk has arrived, undefined when nothing of it has. */
  reached(index: number): number | undefined {
    return this.#reached.get(index)
  }

  /** What has arrived may have been read: it is never fetched again, so that what was read is what gets hashed. */
  setReached(index: number, position: number): void {
    this.#reached.set(index, position)
  }

  /** Whether a reader may have the chunk, unless it is the last one. */
  isReadable(index: number): boolean {
    const state = this.of(index)
    return state === 'verified' || state === 'received'
  }

  clear(): void {
    this.#states.fill('absent')
    this.#reached.clear()
    this.#verified = 0
  }
}
