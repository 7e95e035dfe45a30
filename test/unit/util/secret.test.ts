import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { Secret } from '../../../src/util/secret.ts'

it('is shown nowhere, and is there for who asks', () => {
  const secret = new Secret('correct horse battery')
  for (const shown of [
    secret.toString(),
    JSON.stringify({ secret }),
    inspect({ deep: { secret } }),
    inspect(secret, { showHidden: true }),
  ])
    expect(shown).not.toContain('horse')
  expect(JSON.stringify({ secret })).toBe('{"secret":"***"}')
  expect(secret.reveal()).toBe('correct horse battery')
})
