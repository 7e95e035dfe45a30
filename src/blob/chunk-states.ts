/** What is known of each chunk of a partial blob. Owned by one `Transfer`. */
import { ChunkSet } from './chunk-set.ts'

/**
 * - absent: not on disk
 * - claimed: on disk with a hash that is not checked yet; nobody may read it
 * - received: on disk, from the origin itself, not hashed yet
 * - arrived: on disk, from a peer, not checked yet; nobody may read it
 * - verified: on disk and hashed, and the hash is what somebody states; whose word that is decides who may read it
 */
export type ChunkState = 'absent' | 'claimed' | 'received' | 'arrived' | 'verified'

export class ChunkStates {
  readonly #states: ChunkState[]
  readonly #absent: ChunkSet
  /** Where the next byte of an absent chunk goes, for those that began to arrive. */
  readonly #reached = new Map<number, number>()
  #verifiedCount = 0
  #absentCount: number
  #changes = 0

  constructor(count: number) {
    this.#states = Array.from({ length: count }, () => 'absent')
    this.#absent = new ChunkSet(count)
    this.#absent.addRange(0, count)
    this.#absentCount = count
  }

  get count(): number {
    return this.#states.length
  }

  get verifiedCount(): number {
    return this.#verifiedCount
  }

  get absentCount(): number {
    return this.#absentCount
  }

  /** Counts what was set: while it is the same, so are all states. */
  get changes(): number {
    return this.#changes
  }

  /** Chunks that are absent now. Only this one changes it. */
  get absent(): ChunkSet {
    return this.#absent
  }

  of(index: number): ChunkState {
    const state = this.#states[index]
    if (state === undefined) throw new RangeError(`no chunk ${index} of ${this.count}`)
    return state
  }

  set(index: number, state: ChunkState): void {
    const before = this.of(index)
    if (before === 'verified') this.#verifiedCount -= 1
    if (before === 'absent') this.#absentCount -= 1
    if (state === 'verified') this.#verifiedCount += 1
    if (state === 'absent') {
      this.#absentCount += 1
      this.#absent.add(index)
    } else this.#absent.delete(index)
    this.#changes += 1
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

  clear(): void {
    this.#changes += 1
    this.#states.fill('absent')
    this.#absent.addRange(0, this.count)
    this.#reached.clear()
    this.#verifiedCount = 0
    this.#absentCount = this.count
  }
}
