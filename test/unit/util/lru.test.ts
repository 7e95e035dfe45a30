import { expect, it } from 'vitest'
import { lru } from '../../../src/util/lru.ts'

it('keeps the entries that were used last', () => {
  const cache = lru<string, number>(2)
  cache.set('a', 1)
  cache.set('b', 2)
  cache.get('a')
  cache.set('c', 3)
  expect([...cache.keys()].toSorted()).toEqual(['a', 'c'])
})

it('forgets an entry whose time has passed', async () => {
  const cache = lru<string, number>(2, { ttl: 1 })
  cache.set('a', 1)
  await expect.poll(() => cache.get('a')).toBeUndefined()
})
