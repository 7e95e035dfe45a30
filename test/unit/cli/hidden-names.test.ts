import { describe, expect, it } from 'vitest'
import { HiddenNames } from '../../../src/cli/support/hidden-names.ts'

const names = new HiddenNames()

describe('names in a support bundle', () => {
  it.each([
    '/v2/acme/billing/manifests/v9-final',
    'GET /v2/acme/billing/blobs/sha256:abc',
    'https://r.test/v2/acme/billing/tags/list',
    'repository:acme/billing:pull',
    'cannot pull r.example:5000/acme/billing:v9-final',
    'docker.io/acme/billing@sha256:0123',
    'localhost:5000/acme/billing',
  ])('are hidden in %j', (text) => {
    const hidden = names.hide(text)
    expect(hidden).not.toMatch(/acme|billing|v9-final/)
    expect(hidden).toMatch(/name-[0-9a-f]{8}/)
  })

  it('are hidden where a key says that it is one', () => {
    for (const key of ['repository', 'names', 'image', 'url', 'tag', 'reference'])
      expect(names.hide('acme', key)).toMatch(/^name-[0-9a-f]{8}$/)
    expect(names.hide('acme/billing', 'name')).toMatch(/^name-[0-9a-f]{8}$/)
    expect(names.hide('ShoalError', 'name')).toBe('ShoalError')
  })

  it('have the same mark wherever they stand, and another one in another bundle', () => {
    const [, mark] = /(name-\w+)/.exec(names.hide('/v2/acme/billing/tags/list')) ?? []
    expect(names.hide('acme/billing', 'repository')).toBe(mark)
    expect(new HiddenNames().hide('acme/billing', 'repository')).not.toBe(mark)
  })

  it.each([
    'sha256:0123456789abcdef',
    '127.0.0.1:5050',
    'at file:///usr/lib/shoal/src/agent.ts:389:41',
    '/var/lib/shoal/blobs/sha256/ab',
    'registry.example:5000: does not answer',
    '/ip4/10.0.0.7/tcp/5051/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X',
    'shoal_lane_connections{direction="in"} 3',
    'http://127.0.0.1:5053/v2/',
  ])('are not seen in %j', (text) => {
    expect(names.hide(text)).toBe(text)
  })
})
