import type { Digest } from '../oci/digest.ts'

/** Who has what open: what is in use is spared from eviction. */
export class UseCounts {
  readonly #counts = new Map<Digest, number>()

  has(digest: Digest): boolean {
    return this.#counts.has(digest)
  }

  /** @returns gives the use back; calling it again does nothing */
  acquire(digest: Digest): () => void {
    this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      const left = (this.#counts.get(digest) ?? 1) - 1
      if (left > 0) this.#counts.set(digest, left)
      else this.#counts.delete(digest)
    }
  }
}
