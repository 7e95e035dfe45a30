import { assert, constantFrom, property, string, stringMatching } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { formatImageName, parseImageName } from '../../../src/oci/image-name.ts'

const RULES = { defaultRegistry: 'docker.io', registries: new Set<string>() }
const DIGEST = `sha256:${'ab'.repeat(32)}`

/** The whole name, undefined when it is refused as it should be. */
function attempt(text: string): string | undefined {
  try {
    return formatImageName(parseImageName(text, RULES))
  } catch (error) {
    if (error instanceof ShoalError) return undefined
    throw error
  }
}

describe('the name of an image', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['team/app', 'docker.io/team/app:latest'],
    ['index.docker.io/library/nginx:1', 'docker.io/library/nginx:1'],
    ['localhost/app', 'localhost/app:latest'],
    ['Registry.example:5000/a/b:v1', 'registry.example:5000/a/b:v1'],
    ['registry.example:5000/app', 'registry.example:5000/app:latest'],
    [`registry.example/app@${DIGEST}`, `registry.example/app@${DIGEST}`],
    [`registry.example/app:v1@${DIGEST}`, `registry.example/app@${DIGEST}`],
    ['[::1]:5000/app:x', '[::1]:5000/app:x'],
  ])('%s means %s', (text, whole) => {
    expect(formatImageName(parseImageName(text, RULES))).toBe(whole)
  })

  it('takes the registry of the configuration where none is named', () => {
    const rules = { ...RULES, defaultRegistry: 'mirror.test:5000' }
    expect(formatImageName(parseImageName('nginx', rules))).toBe('mirror.test:5000/nginx:latest')
  })

  it.each([
    '',
    ':',
    '@',
    'UPPER',
    'a:',
    'a@',
    'a:b:c',
    'a@latest',
    'a b',
    'a//b',
    '../a',
    `a@${DIGEST}x`,
    'x'.repeat(2000),
  ])('is not %j', (text) => {
    expect(() => parseImageName(text, RULES)).toThrow(ShoalError)
  })

  it('is parsed or refused, whatever is written, and a whole name means the same again', () => {
    const piece = constantFrom('a', 'b.c', ':', '/', '@', DIGEST, 'sha256:', '5000', '..', '_', 'A', '[', ']')
    const names = string({ unit: piece, maxLength: 12 })
    assert(
      property(names, (text) => {
        const once = attempt(text)
        return once === undefined || attempt(once) === once
      }),
    )
    assert(
      property(
        stringMatching(/^[a-z0-9]{1,9}(\/[a-z0-9]{1,9}){1,2}$/),
        stringMatching(/^[a-zA-Z0-9_]{1,9}$/),
        (path, tag) => {
          expect(formatImageName(parseImageName(`r.test/${path}:${tag}`, RULES))).toBe(`r.test/${path}:${tag}`)
        },
      ),
    )
  })
})
