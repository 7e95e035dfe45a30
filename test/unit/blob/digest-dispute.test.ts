import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Evidence } from '../../../src/blob/chunk-evidence.ts'
import { DigestDispute, type DisputeView } from '../../../src/blob/digest-dispute.ts'

const EVIDENCE = ['own', 'agreed', 'lone', 'contested', 'none'] as const

function view(
  chunks: readonly [hash: string, Evidence][],
  stated: Record<string, string> = {},
  hasOrigin = true,
): DisputeView {
  return {
    chunks: chunks.map(([hash, evidence], index) => ({ index, hash, evidence })),
    // one letter for each chunk, `.` for nothing
    stated: new Map(
      Object.entries(stated).map(([signer, said]) => [
        signer,
        new Map(
          said
            .split('')
            .map((hash, index) => [index, hash] as const)
            .filter(([, hash]) => hash !== '.'),
        ),
      ]),
    ),
    hasOrigin,
  }
}

describe('DigestDispute', () => {
  it('asks the origin about the most doubtful chunks first, each kind once', () => {
    const dispute = new DigestDispute()
    const all = view([
      ['a', 'own'],
      ['b', 'contested'],
      ['c', 'lone'],
      ['d', 'agreed'],
      ['e', 'none'],
    ])
    expect(dispute.next(all)).toEqual({ type: 'ask-origin', indexes: [1, 4] })
    expect(dispute.next(all)).toEqual({ type: 'ask-origin', indexes: [2] })
    expect(dispute.next(all)).toEqual({ type: 'ask-origin', indexes: [3] })
    expect(dispute.next(all)).toBeUndefined()
  })

  it('has nothing to try when everything came from the origin and nobody says otherwise', () => {
    expect(
      new DigestDispute().next(
        view(
          [
            ['a', 'own'],
            ['b', 'own'],
          ],
          { s: 'ab' },
        ),
      ),
    ).toBeUndefined()
  })

  it('believes peers against the origin when they say otherwise', () => {
    const remedy = new DigestDispute().next(
      view(
        [
          ['a', 'own'],
          ['b', 'own'],
        ],
        { s: 'ax', t: '.x' },
      ),
    )
    expect(remedy).toMatchObject({ type: 'believe', hashes: new Map([[1, 'x']]) })
  })

  it('believes one signer after the other without an origin, the best supported first', () => {
    const dispute = new DigestDispute()
    const chunks: [string, Evidence][] = [
      ['a', 'contested'],
      ['b', 'contested'],
    ]
    const all = view(chunks, { liar: 'ab', alone: 'zz', one: 'xy', two: 'xy' }, false)
    const believed = [1, 2, 3].map(() => dispute.next(all))
    expect(believed[0]).toEqual({
      type: 'believe',
      signer: 'one',
      hashes: new Map([
        [0, 'x'],
        [1, 'y'],
      ]),
    })
    expect(believed.map((remedy) => remedy?.type === 'believe' && remedy.signer)).toEqual(['one', 'two', 'alone'])
    expect(dispute.next(all)).toBeUndefined()
  })

  it('comes to an end whatever is stated, and never asks for the version that is here', () => {
    const chunk = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom(...EVIDENCE))
    const signers = fc.dictionary(
      fc.string({ maxLength: 3 }),
      fc.string({ unit: fc.constantFrom('a', 'b', 'c', '.'), maxLength: 6 }),
    )
    fc.assert(
      fc.property(
        fc.array(chunk, { minLength: 1, maxLength: 6 }),
        signers,
        fc.boolean(),
        (chunks, stated, hasOrigin) => {
          const dispute = new DigestDispute()
          const all = view(chunks, stated, hasOrigin)
          let remedies = 0
          for (let remedy = dispute.next(all); remedy !== undefined; remedy = dispute.next(all)) {
            remedies += 1
            expect(remedies).toBeLessThanOrEqual(11)
            const indexes = remedy.type === 'believe' ? [...remedy.hashes.keys()] : remedy.indexes
            expect(indexes.length).toBeGreaterThan(0)
            const hashes = remedy.type === 'believe' ? remedy.hashes : new Map<number, string>()
            for (const [index, hash] of hashes) expect(chunks[index]?.[0]).not.toBe(hash)
          }
        },
      ),
    )
  })
})
