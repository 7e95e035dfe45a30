import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import { ClaimBook } from '../../../src/blob/claim-book.ts'
import type { ChunkStatement } from '../../../src/blob/ports.ts'
import { digestOf } from '../../../src/oci/digest.ts'

const plan = planChunks(8 * 256 * 1024)
const DIGEST = digestOf('sha256', 'd'.repeat(64))

function book(): ClaimBook {
  return new ClaimBook({ plan, onlyHash: undefined })
}

function says(signer: string, hashes: Record<number, string>, given: Partial<ChunkStatement> = {}): ChunkStatement {
  return {
    kind: 'claim',
    digest: DIGEST,
    size: plan.size,
    signer,
    hashes: new Map(Object.entries(hashes).map(([index, hash]) => [Number(index), hash])),
    encoded: Buffer.alloc(0),
    ...given,
  }
}

describe('ClaimBook', () => {
  it('names those who say they had the whole blob before others, with what their map says', () => {
    const claims = book()
    claims.add(says('liar', { 0: 'x', 1: 'x' }))
    claims.add(says('honest', { 0: 'z' }))
    claims.add(says('honest', { 0: 'y', 1: 'y' }, { kind: 'map' }))
    expect([...claims.bySigner().keys()]).toEqual(['honest', 'liar'])
    expect(claims.bySigner().get('honest')?.get(0)).toBe('y')
    expect([claims.statedBy('honest', 0), claims.statedBy('liar', 0)]).toEqual(['y', 'x'])
  })

  it('says who was contradicted by the origin, and takes nothing more from it', () => {
    const claims = book()
    claims.add(says('liar', { 0: 'x', 1: 'x' }))
    claims.addOwn(0, 'y')
    expect([...claims.contradicted]).toEqual(['liar'])
    expect(claims.statedBy('liar', 1)).toBeUndefined()
    expect(claims.wasStated(1, 'x', 'liar')).toBe(true)
    expect(claims.wasStated(1, 'x', 'honest')).toBe(false)
  })

  it('grows from one word over two to that of the origin', () => {
    const claims = book()
    expect(claims.evidence(0, 'x')).toBe('none')
    claims.add(says('a', { 0: 'x' }))
    expect(claims.evidence(0, 'x')).toBe('lone')
    claims.add(says('a', { 0: 'x' }))
    expect(claims.evidence(0, 'x')).toBe('lone')
    claims.add(says('b', { 0: 'x' }))
    expect([claims.evidence(0, 'x'), claims.outlook(0)]).toEqual(['agreed', 'agreed'])
    claims.addOwn(0, 'x')
    expect(claims.evidence(0, 'x')).toBe('own')
  })

  it('contests what others state differently, however many agree', () => {
    const claims = book()
    for (const signer of ['a', 'b', 'c']) claims.add(says(signer, { 0: 'x' }))
    claims.add(says('d', { 0: 'y' }))
    expect([claims.evidence(0, 'x'), claims.evidence(0, 'y'), claims.outlook(0)]).toEqual(Array(3).fill('contested'))
    claims.ban('d')
    expect(claims.evidence(0, 'x')).toBe('agreed')
    expect(claims.evidence(0, 'y')).toBe('contested')
  })

  it('lets a signer change its word once, by its map', () => {
    const claims = book()
    claims.add(says('a', { 0: 'x' }))
    expect(claims.add(says('a', { 0: 'y' }))).toBe(false)
    expect(claims.add(says('a', { 0: 'z', 1: 'w' }, { kind: 'map' }))).toBe(true)
    expect(claims.add(says('a', { 0: 'x', 1: 'v' }, { kind: 'map' }))).toBe(false)
    expect([claims.evidence(0, 'z'), claims.evidence(1, 'w'), claims.evidence(0, 'x')]).toEqual([
      'lone',
      'lone',
      'contested',
    ])
  })

  it('hears nobody who is banned, nor about another size or chunks that do not exist', () => {
    const claims = book()
    claims.ban('a')
    expect(claims.add(says('a', { 0: 'x' }))).toBe(false)
    expect(claims.add(says('b', { 0: 'x' }, { size: plan.size + 1 }))).toBe(false)
    expect(claims.add(says('b', { 8: 'x', [-1]: 'x', 0.5: 'x' }))).toBe(false)
    expect(claims.statements).toEqual([])
  })

  it('believes a signer no more that the origin contradicts alone, before or after, and keeps what it signed', () => {
    const claims = book()
    claims.add(says('early', { 0: 'lie', 1: 'x' }))
    expect(claims.addOwn(0, 'truth')).toEqual(['early'])
    claims.add(says('late', { 0: 'lie', 2: 'x' }))
    expect([claims.outlook(1), claims.outlook(2)]).toEqual(['none', 'none'])
    expect(claims.statements.map(({ signer }) => signer)).toEqual(['early', 'late'])
    expect(claims.wasStated(1, 'x') && claims.wasStated(0, 'lie')).toBe(true)
    expect(claims.wasStated(1, 'y')).toBe(false)
  })

  it('does not take the word of the origin against that of two', () => {
    const claims = book()
    claims.add(says('a', { 0: 'x' }))
    claims.add(says('b', { 0: 'x' }))
    expect(claims.addOwn(0, 'y')).toEqual([])
    expect(claims.evidence(0, 'y')).toBe('own')
    expect(claims.isPossible(0, 'x')).toBe(true)
  })

  it('takes less of a risk with signers that the origin has confirmed', () => {
    const claims = book()
    claims.add(says('a', { 0: 'x', 1: 'y', 2: 'z' }))
    expect(claims.isRisky(1)).toBe(true)
    claims.addOwn(0, 'x')
    expect(claims.isRisky(1)).toBe(false)
    claims.add(says('b', { 1: 'other' }))
    expect(claims.isRisky(1)).toBe(true)
  })

  it('needs nobody’s word for a blob of one chunk', () => {
    const claims = new ClaimBook({ plan: planChunks(100), onlyHash: 'digest' })
    expect(claims.add(says('a', { 0: 'x' }, { size: 100 }))).toBe(false)
    expect([claims.isPossible(0, 'digest'), claims.isPossible(0, 'x'), claims.isCheckable(0)]).toEqual([
      true,
      false,
      true,
    ])
    expect([claims.evidence(0, 'digest'), claims.evidence(0, 'x')]).toEqual(['agreed', 'none'])
  })

  it('keeps a bounded number of statements, whoever floods it with whatever, and one vote for each signer', () => {
    const statement = fc.record({
      signer: fc.integer({ min: 0, max: 30 }),
      isMap: fc.boolean(),
      hashes: fc.dictionary(fc.integer({ min: 0, max: 9 }).map(String), fc.constantFrom(...'abcdefghijkl'.split('')), {
        maxKeys: 8,
      }),
    })
    fc.assert(
      fc.property(fc.array(statement, { maxLength: 400 }), (all) => {
        const claims = book()
        for (const { signer, isMap, hashes } of all) {
          claims.add(says(`s${signer}`, hashes, { kind: isMap ? 'map' : 'claim' }))
        }
        expect(claims.statements.length).toBeLessThanOrEqual(31 * (plan.count + 1))
        for (let index = 0; index < plan.count; index++) {
          const possible = 'abcdefghijkl'.split('').filter((hash) => claims.isPossible(index, hash))
          expect(possible.length).toBeLessThanOrEqual(8)
          expect(claims.isCheckable(index)).toBe(possible.length > 0)
        }
        for (let signer = 0; signer <= 30; signer++) claims.ban(`s${signer}`)
        for (let index = 0; index < plan.count; index++) expect(claims.outlook(index)).toBe('none')
      }),
    )
  })

  it('answers the same, asked after each step or only at the end', () => {
    const hashes = fc.dictionary(fc.integer({ min: 0, max: 7 }).map(String), fc.constantFrom('a', 'b'), { maxKeys: 4 })
    const signer = fc.integer({ min: 0, max: 4 }).map((number) => `s${number}`)
    const index = fc.integer({ min: 0, max: 7 })
    const step: fc.Arbitrary<(claims: ClaimBook) => unknown> = fc.oneof(
      fc.tuple(signer, hashes).map(
        ([who, said]) =>
          (claims: ClaimBook) =>
            claims.add(says(who, said)),
      ),
      fc.tuple(signer, hashes).map(
        ([who, said]) =>
          (claims: ClaimBook) =>
            claims.add(says(who, said, { kind: 'map' })),
      ),
      fc.tuple(index, fc.constantFrom('a', 'b')).map(
        ([at, hash]) =>
          (claims: ClaimBook) =>
            claims.addOwn(at, hash),
      ),
      index.map((at) => (claims: ClaimBook) => claims.dropOwn(at)),
      signer.map((who) => (claims: ClaimBook) => claims.ban(who)),
    )
    const answers = (claims: ClaimBook): unknown[] =>
      Array.from({ length: plan.count }, (_, at) => [
        claims.outlook(at),
        claims.unconfirmed(at),
        claims.isRisky(at),
        claims.risky.has(at),
      ])
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const [asked, unasked] = [book(), book()]
        for (const change of steps) {
          change(asked)
          change(unasked)
          answers(asked)
        }
        expect(answers(asked)).toEqual(answers(unasked))
      }),
    )
  })
})
