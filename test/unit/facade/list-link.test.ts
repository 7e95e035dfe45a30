import { expect, it } from 'vitest'
import { nextPageLink } from '../../../src/facade/list-link.ts'

const PATH = '/v2/reg.test/a/tags/list'

it.each([
  ['</v2/a/tags/list?last=b&n=2>; rel="next"', undefined, `<${PATH}?last=b&n=2>; rel="next"`],
  ['</v2/a/tags/list?last=b&n=2>; rel=next', 'reg.test:5000', `<${PATH}?last=b&n=2&ns=reg.test%3A5000>; rel="next"`],
  ['<https://reg.test/v2/a/tags/list?n=2&last=b>; rel="next"', undefined, `<${PATH}?n=2&last=b>; rel="next"`],
  ['</x?n=1>; rel="prev", </x?n=3>; rel="next"', undefined, `<${PATH}?n=3>; rel="next"`],
  ['</x?n=1&ns=other>; rel="next"', 'mine.test', `<${PATH}?n=1&ns=mine.test>; rel="next"`],
  ['</x>; rel="next"', undefined, `<${PATH}>; rel="next"`],
])('leads from %s with ns %s to %s', (link, ns, expected) => {
  expect(nextPageLink(link, PATH, ns)).toBe(expected)
})

it.each([undefined, '', 'garbage', '</x?n=1>; rel="prev"', '</x>'])('finds no next page in %s', (link) => {
  expect(nextPageLink(link, PATH, undefined)).toBeUndefined()
})

it('lets nothing of the origin into the header but a query', () => {
  const link = nextPageLink('</x?last=%0d%0aSet-Cookie:1>; rel="next"', PATH, undefined)
  expect(link).toBe(`<${PATH}?last=%0D%0ASet-Cookie%3A1>; rel="next"`)
})
