import { describe, expect, it } from 'vitest'
import { bearerChallenge } from '../../../src/facade/bearer-challenge.ts'

const BEARER = 'Bearer realm="https://auth.test/token",service="reg.test",scope="repository:a/b:pull,push"'

describe('bearerChallenge', () => {
  it.each([
    [BEARER, BEARER],
    [`Basic realm="x, y", ${BEARER}`, BEARER],
    [`${BEARER}, Basic realm="reg"`, BEARER],
    [`Negotiate, ${BEARER}`, BEARER],
    ['bearer realm="x"', 'bearer realm="x"'],
    ['Bearer realm="a\\"b, Basic realm=c", service="d"', 'Bearer realm="a\\"b, Basic realm=c", service="d"'],
  ])('finds it in %s', (header, expected) => {
    expect(bearerChallenge(header)).toBe(expected)
  })

  it.each([
    undefined,
    '',
    'Basic realm="reg"',
    'Bearer',
    'Basic realm="Bearer realm=x"',
    'Bearer realm="x"\r\nX: y',
    'Bearer realm="ü"',
  ])('finds none in %s', (header) => {
    expect(bearerChallenge(header)).toBeUndefined()
  })

  it('never lets a Basic challenge out with it', () => {
    for (const header of [`Basic realm="a", ${BEARER}`, `${BEARER}, Basic realm="a"`, `${BEARER} , Basic realm=a`]) {
      expect(bearerChallenge(header)).not.toMatch(/basic/i)
    }
  })
})
