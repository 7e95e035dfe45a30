import { createHash } from 'node:crypto'

/** Numbers in [0, 1) that are the same for the same seed: xorshift32, for choices that are made a million times. */
export function fastRandom(seed: string): () => number {
  let state = createHash('sha256').update(seed).digest().readUInt32BE() || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
