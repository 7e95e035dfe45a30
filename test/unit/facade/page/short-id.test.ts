import { expect, it } from 'vitest'
import { shortId } from '../../../../src/facade/page/short-id.js'

it('two ids that begin alike are short in different ways, and nothing in them reaches a terminal', () => {
  const ids = ['12D3KooWAbCdEfGhIjKlMnOpQrStUvWxYz1111aaaaBBBB', '12D3KooWAbCdEfGhIjKlMnOpQrStUvWxYz1111aaaaCCCC']
  expect(ids.map(shortId)).toEqual(['aaaaBBBB', 'aaaaCCCC'])
  expect(shortId('short')).toBe('short')
  expect(shortId('x\u001b[2Jé')).toBe('x?[2J?')
})
