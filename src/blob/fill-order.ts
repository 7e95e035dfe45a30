import { ChunkSet } from './chunk-set.ts'
import type { RunDraft } from './run-draft.ts'

/**
 * Chunks behind a waiting reader's that come before all others: what peers bring in so long. Agents on slow links that all fetch the same chunks next have nothing to
 * give each other.
 */
const WINDOW_SECONDS = 0.5
const WINDOW_BYTES = 16 * 1024 * 1024
/** Before, what peers bring is not known. */
const RATED_MS = 500

export interface FillOrderInit {
  /** What readers may not have from peers is the origin's affair, as long as there is something else to do. */
  readonly leavesDisputed: boolean
}

/**
 * Open chunks in the order in which peers are asked for them, each once: first what readers come to next, then from this agent's own
 * place on. Part of `chunk-scheduler`.
 */
export class FillOrder {
  readonly #draft: RunDraft
  readonly #leavesDisputed: boolean
  /** Chunks that readers come to next. */
  readonly #near: ChunkSet
  readonly #disputed: number[] = []
  readonly #first: number
  readonly #windowChunks: number
  #reader = 0
  #window = { next: 0, end: 0 }
  #state: 'near' | 'behind' | 'before' | 'disputed' = 'near'
  #next: number

  constructor(draft: RunDraft, { leavesDisputed }: FillOrderInit) {
    const { plan, offset, ageMs, peersBytesPerSecond } = draft.snapshot
    const windowBytes = ageMs < RATED_MS ? WINDOW_BYTES : Math.min(WINDOW_BYTES, peersBytesPerSecond * WINDOW_SECONDS)
    this.#draft = draft
    this.#leavesDisputed = leavesDisputed
    this.#near = new ChunkSet(plan.count)
    this.#windowChunks = Math.max(2, Math.floor(windowBytes / plan.chunkBytes))
    this.#first = Math.floor(offset * plan.count)
    this.#next = this.#first
  }

  /** @returns -1 when there is none left */
  next(): number {
    const { open } = this.#draft
    for (;;) {
      if (this.#state === 'near') {
        const chunk = this.#nextNear(open)
        if (chunk >= 0) return chunk
        this.#state = 'behind'
      } else if (this.#state === 'disputed') {
        const chunk = this.#disputed.shift() ?? -1
        if (chunk < 0 || open.has(chunk)) return chunk
      } else {
        const chunk = this.#nextFar(open)
        if (chunk >= 0) return chunk
        this.#state = this.#state === 'behind' ? 'before' : 'disputed'
        this.#next = 0
      }
    }
  }

  #nextNear(open: ChunkSet): number {
    const { snapshot } = this.#draft
    for (;;) {
      const { next, end } = this.#window
      const chunk = next < end ? open.next(next) : -1
      if (chunk < 0 || chunk >= end) {
        const reader = snapshot.wanted[this.#reader]
        if (reader === undefined) return -1
        this.#reader += 1
        this.#window = { next: reader.chunk, end: Math.min(snapshot.plan.count, reader.chunk + this.#windowChunks) }
        continue
      }
      this.#window.next = chunk + 1
      if (this.#near.has(chunk)) continue
      this.#near.add(chunk)
      if (!this.#leavesDisputed || snapshot.isUndisputed(chunk)) return chunk
      this.#disputed.push(chunk)
    }
  }

  #nextFar(open: ChunkSet): number {
    const limit = this.#state === 'behind' ? open.count : this.#first
    for (let chunk = open.next(this.#next); chunk >= 0 && chunk < limit; chunk = open.next(chunk + 1)) {
      if (this.#near.has(chunk)) continue
      this.#next = chunk + 1
      return chunk
    }
    return -1
  }
}
