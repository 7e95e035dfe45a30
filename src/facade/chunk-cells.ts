import type { ChunkMark, ChunkMarks } from '../blob/transfer-view.ts'

/**
 * A map of chunks with at most `max` cells, for a picture: a cell stands for neighbouring chunks and has the mark that most of
 * them have.
 */
export function chunkCells(chunkMap: readonly ChunkMarks[], max: number): ChunkMarks[] {
  const chunks = chunkMap.reduce((sum, [, count]) => sum + count, 0)
  if (chunks <= max) return [...chunkMap]
  const cells: [ChunkMark, number][] = []
  const runs = chunkMap.values()
  let [mark, left]: ChunkMarks = ['missing', 0]
  for (let cell = 0; cell < max; cell++) {
    const counts = new Map<ChunkMark, number>()
    let wanted = Math.floor(((cell + 1) * chunks) / max) - Math.floor((cell * chunks) / max)
    while (wanted > 0) {
      if (left === 0) [mark, left] = runs.next().value ?? ['missing', wanted]
      const taken = Math.min(left, wanted)
      counts.set(mark, (counts.get(mark) ?? 0) + taken)
      left -= taken
      wanted -= taken
    }
    const [most] = [...counts].reduce((best, other) => (other[1] > best[1] ? other : best))
    const last = cells.at(-1)
    if (last?.[0] === most) last[1] += 1
    else cells.push([most, 1])
  }
  return cells
}
