import { expect, it } from 'vitest'
import { deriveSwarmKey, OPEN_KEY } from '../../../../src/swarm/membership/swarm-secret.ts'

it('derives the same key from the same secret, and another from another', async () => {
  const [first, again, other] = await Promise.all(
    ['correct horse battery', 'correct horse battery', 'correct horse batterY'].map(deriveSwarmKey),
  )
  expect(first).toEqual(again)
  expect(first).not.toEqual(other)
  expect(first).toHaveLength(OPEN_KEY.length)
})
