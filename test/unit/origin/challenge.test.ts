import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Challenge, chooseChallenge, formatChallenge, parseChallenges } from '../../../src/origin/challenge.ts'

const plain = (challenges: Challenge[]) =>
  challenges.map(({ scheme, token68, params }) => ({ scheme, token68, params: Object.fromEntries(params) }))

describe('parseChallenges', () => {
  it.each([
    [
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull"',
      [
        {
          scheme: 'bearer',
          token68: undefined,
          params: {
            realm: 'https://auth.docker.io/token',
            service: 'registry.docker.io',
            scope: 'repository:library/x:pull',
          },
        },
      ],
    ],
    [
      'Negotiate, Basic realm="a, b", BEARER Realm=x , service = "y\\"z"',
      [
        { scheme: 'negotiate', token68: undefined, params: {} },
        { scheme: 'basic', token68: undefined, params: { realm: 'a, b' } },
        { scheme: 'bearer', token68: undefined, params: { realm: 'x', service: 'y"z' } },
      ],
    ],
    [
      'Negotiate YWJj==, Digest a=b',
      [
        { scheme: 'negotiate', token68: 'YWJj==', params: {} },
        { scheme: 'digest', token68: undefined, params: { a: 'b' } },
      ],
    ],
    ['Basic', [{ scheme: 'basic', token68: undefined, params: {} }]],
    ['', []],
    [' , ,', []],
    ['Bearer realm="unfinished', [{ scheme: 'bearer', token68: undefined, params: {} }]],
    ['Bearer realm="a",realm="b"', [{ scheme: 'bearer', token68: undefined, params: { realm: 'a' } }]],
  ])('reads %j', (header, expected) => {
    expect(plain(parseChallenges(header))).toEqual(expected)
  })

  it('reads several headers in their order and survives one that is broken', () => {
    const found = parseChallenges(['Negotiate', '"junk"', 'Bearer realm="r"'])
    expect(found.map((one) => one.scheme)).toEqual(['negotiate', 'bearer'])
  })

  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/)
  const challenge = fc.record({
    scheme: name,
    params: fc.dictionary(name, fc.string({ unit: 'binary-ascii' }), { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
  })

  it('reads back what formatChallenge writes, any number of challenges in one header', () => {
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), (list) => {
        const header = list
          .map(({ scheme, params }) =>
            formatChallenge({ scheme, token68: undefined, params: new Map(Object.entries(params)) }),
          )
          .join(', ')
        expect(plain(parseChallenges(header))).toEqual(list.map((one) => ({ ...one, token68: undefined })))
      }),
    )
  })

  it('neither throws nor hangs on any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2000 }), (text) => {
        expect(Array.isArray(parseChallenges(text))).toBe(true)
      }),
    )
    const long = `Bearer ${'a="'.repeat(20_000)}`
    const begun = performance.now()
    parseChallenges([long, `Bearer ${'a '.repeat(20_000)}`, `Bearer x="${'\\'.repeat(40_000)}`])
    expect(performance.now() - begun).toBeLessThan(2_000)
  })
})

describe('chooseChallenge', () => {
  it('takes Bearer before Basic, and never what it cannot answer', () => {
    expect(chooseChallenge(parseChallenges('Basic realm="x", Bearer realm="y"'))?.scheme).toBe('bearer')
    expect(chooseChallenge(parseChallenges('Bearer service="no-realm", Basic realm="x"'))?.scheme).toBe('basic')
    expect(chooseChallenge(parseChallenges('Negotiate, Digest realm="x"'))).toBeUndefined()
  })
})
