/** Where a chunk that is here came from. `store`: an earlier transfer left it on disk. */
export type Provenance = 'store' | 'origin' | 'peer'

const CODES: Record<Provenance, number> = { store: 1, origin: 2, peer: 3 }
const NAMES: readonly (Provenance | undefined)[] = [undefined, 'store', 'origin', 'peer']

/** One byte for each chunk, for people to see. Owned by one `Filling`; nothing is decided on it. */
export class ChunkProvenance {
  readonly #codes: Uint8Array

  constructor(count: number) {
    this.#codes = new Uint8Array(count)
  }

  of(index: number): Provenance | undefined {
    return NAMES[this.#codes[index] ?? 0]
  }

  set(index: number, provenance: Provenance): void {
    this.#codes[index] = CODES[provenance]
  }
}
