import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChunkSet } from '../../../src/blob/chunk-set.ts'

const COUNT = 100
const index = fc.integer({ min: 0, max: COUNT - 1 })
const change = fc.record({
  type: fc.constantFrom('add' as const, 'delete' as const),
  from: fc.integer({ min: -3, max: COUNT + 3 }),
  length: fc.integer({ min: 0, max: 70 }),
})

function changed(
  changes: readonly { type: 'add' | 'delete'; from: number; length: number }[],
): [ChunkSet, Set<number>] {
  const [set, model] = [new ChunkSet(COUNT), new Set<number>()]
  for (const { type, from, length } of changes) {
    set[`${type}Range`](from, from + length)
    for (let at = Math.max(0, from); at < Math.min(COUNT, from + length); at++) model[type](at)
  }
  return [set, model]
}

const members = (set: ChunkSet): number[] =>
  Array.from({ length: COUNT + 40 }, (_, at) => at).filter((at) => set.has(at))
const sorted = (model: Iterable<number>): number[] => [...model].toSorted((a, b) => a - b)

describe('ChunkSet', () => {
  it('has what was put in and not taken out, and nothing outside the blob', () => {
    fc.assert(
      fc.property(fc.array(change), (changes) => {
        const [set, model] = changed(changes)
        expect(members(set)).toEqual(sorted(model))
        expect(set.size).toBe(model.size)
        expect(set.isEmpty).toBe(model.size === 0)
      }),
    )
  })

  it('takes in what is in bytes, and nothing that is outside the blob', () => {
    fc.assert(
      fc.property(fc.array(change), fc.uint8Array({ maxLength: COUNT / 8 + 4 }), (changes, bytes) => {
        const [set, model] = changed(changes)
        set.addBytes(bytes)
        for (let at = 0; at < COUNT; at++) if (((bytes[at >>> 3] ?? 0) & (1 << (at & 7))) !== 0) model.add(at)
        expect(members(set)).toEqual(sorted(model))
      }),
    )
  })

  it('finds the next one, and the first match around the blob', () => {
    fc.assert(
      fc.property(fc.array(change), index, fc.integer({ min: 1, max: 5 }), (changes, from, step) => {
        const [set, model] = changed(changes)
        const all = sorted(model)
        expect(set.next(from)).toBe(all.find((at) => at >= from) ?? -1)
        const around = [...all.filter((at) => at >= from), ...all.filter((at) => at < from)]
        const asked: number[] = []
        const matches = (at: number): boolean => asked.push(at) > 0 && at % step === 0
        expect(set.findFrom(from, matches)).toBe(around.find((at) => at % step === 0) ?? -1)
        expect(asked).toEqual(around.slice(0, asked.length))
      }),
    )
  })

  it('takes out, keeps or takes in what another one has, and leaves a copy as it was', () => {
    fc.assert(
      fc.property(fc.array(change), fc.array(change), (one, other) => {
        const [set, model] = changed(one)
        const [taken, gone] = changed(other)
        const [copy, both, all] = [set.copy(), set.copy(), set.copy()]
        set.deleteAll(taken)
        both.keepAll(taken)
        all.addAll(taken)
        expect(members(set)).toEqual(sorted(model.difference(gone)))
        expect(members(copy)).toEqual(sorted(model))
        expect(members(both)).toEqual(sorted(model.intersection(gone)))
        expect(members(all)).toEqual(sorted(model.union(gone)))
        expect(copy.isWithin(taken)).toBe(model.isSubsetOf(gone))
      }),
    )
  })
})
