import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ChunkMarks } from '../../../src/blob/transfer-view.ts'
import { chunkCells } from '../../../src/facade/chunk-cells.ts'

const MARKS = ['store', 'origin', 'peer', 'coming', 'missing'] as const
const runs = fc.array(fc.tuple(fc.constantFrom(...MARKS), fc.integer({ min: 1, max: 3_000 })), { maxLength: 60 })
const count = (marks: readonly ChunkMarks[]): number => marks.reduce((sum, [, length]) => sum + length, 0)

it('leaves a map alone that is small enough', () => {
  const map: ChunkMarks[] = [
    ['peer', 3],
    ['missing', 5],
  ]
  expect(chunkCells(map, 8)).toEqual(map)
})

it('takes for each cell what most of its chunks are', () => {
  const map: ChunkMarks[] = [
    ['peer', 3],
    ['origin', 5],
    ['missing', 8],
  ]
  expect(chunkCells(map, 4)).toEqual([
    ['peer', 1],
    ['origin', 1],
    ['missing', 2],
  ])
})

it('has as many cells as chunks, or as asked for, each of a mark that is in the map', () => {
  fc.assert(
    fc.property(runs, fc.integer({ min: 1, max: 300 }), (map, max) => {
      const cells = chunkCells(map, max)
      expect(count(cells)).toBe(Math.min(max, count(map)))
      const marks = new Set(map.map(([mark]) => mark))
      for (const [mark, length] of cells) expect(marks.has(mark) && length > 0).toBe(true)
      const only = marks.size === 1 ? [...marks][0] : undefined
      expect(only === undefined || cells.every(([mark]) => mark === only)).toBe(true)
    }),
  )
})
