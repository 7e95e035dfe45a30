import { expect, it } from 'vitest'
import { counted, isOrAre } from '../../../src/util/counted.ts'

it('is singular for one alone', () => {
  expect([0, 1, 2].map((count) => `${counted(count, 'peer')} ${isOrAre(count)}`)).toEqual([
    '0 peers are',
    '1 peer is',
    '2 peers are',
  ])
})
