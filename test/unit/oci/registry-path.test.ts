import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { parseRegistryPath, parseRegistryQuery } from '../../../src/oci/registry-path.ts'

const HEX = 'a'.repeat(64)
const DIGEST = `sha256:${HEX}`

describe('parseRegistryPath', () => {
  it.each([
    ['/v2', { kind: 'ping' }],
    ['/v2/', { kind: 'ping' }],
    ['/v2/_catalog', { kind: 'catalog' }],
    ['/v2/library/a/manifests/v1', { kind: 'manifest', name: 'library/a', reference: { tag: 'v1' } }],
    [`/v2/a/manifests/${DIGEST}`, { kind: 'manifest', name: 'a', reference: { digest: DIGEST } }],
    [`/v2/a/manifests/sha256%3A${HEX}`, { kind: 'manifest', name: 'a', reference: { digest: DIGEST } }],
    [`/v2/a/b/c/blobs/${DIGEST}`, { kind: 'blob', name: 'a/b/c', digest: DIGEST }],
    [`/v2/reg.test:5000/b/blobs/${DIGEST}`, { kind: 'blob', name: 'reg.test:5000/b', digest: DIGEST }],
    ['/v2/a/tags/list', { kind: 'tags', name: 'a' }],
    [`/v2/a/referrers/${DIGEST}`, { kind: 'referrers', name: 'a', digest: DIGEST }],
    ['/v2/a/blobs/uploads', { kind: 'upload', name: 'a' }],
    ['/v2/a/blobs/uploads/', { kind: 'upload', name: 'a' }],
    ['/v2/a/blobs/uploads/some-id', { kind: 'upload', name: 'a' }],
    ['/v2/manifests/manifests/manifests', { kind: 'manifest', name: 'manifests', reference: { tag: 'manifests' } }],
    ['/v2/a/manifests/tags/list', { kind: 'tags', name: 'a/manifests' }],
    ['/v2/a', { kind: 'unknown' }],
    ['/v2/a/tags', { kind: 'unknown' }],
    ['/v1/_ping', { kind: 'unknown' }],
    ['/', { kind: 'unknown' }],
    ['', { kind: 'unknown' }],
    ['/v2x/a/manifests/v1', { kind: 'unknown' }],
  ])('reads %s', (path, resource) => {
    expect(parseRegistryPath(path)).toEqual(resource)
  })

  it.each([
    ['/v2/manifests/v1', 'NAME_INVALID'],
    ['/v2//manifests/v1', 'NAME_INVALID'],
    ['/v2/a//b/manifests/v1', 'NAME_INVALID'],
    ['/v2/../manifests/v1', 'NAME_INVALID'],
    ['/v2/a/%2e%2e/b/manifests/v1', 'NAME_INVALID'],
    ['/v2/a%2Fb/manifests/v1', 'NAME_INVALID'],
    ['/v2/a%00/manifests/v1', 'NAME_INVALID'],
    ['/v2/a%5Cb/manifests/v1', 'NAME_INVALID'],
    ['/v2/a%/manifests/v1', 'NAME_INVALID'],
    ['/v2/a%ff/manifests/v1', 'NAME_INVALID'],
    [`/v2/${'a/'.repeat(300)}b/manifests/v1`, 'NAME_INVALID'],
    ['/v2/a/manifests/', 'TAG_INVALID'],
    [`/v2/a/manifests/${'t'.repeat(129)}`, 'TAG_INVALID'],
    ['/v2/a/manifests/-x', 'TAG_INVALID'],
    ['/v2/a/manifests/sha256:baddigest', 'DIGEST_INVALID'],
    ['/v2/a/blobs/latest', 'DIGEST_INVALID'],
    ['/v2/a/blobs/', 'DIGEST_INVALID'],
    [`/v2/a/blobs/${DIGEST.toUpperCase()}`, 'DIGEST_INVALID'],
    [`/v2/a/referrers/sha256:${'a'.repeat(63)}`, 'DIGEST_INVALID'],
  ])('refuses %s with %s', (path, code) => {
    expect(() => parseRegistryPath(path)).toThrow(expect.objectContaining({ code }))
  })

  it('either gives a resource or throws a client error, for any path', () => {
    const piece = fc.oneof(
      fc.constantFrom('v2', 'blobs', 'manifests', 'uploads', 'tags', 'list', 'referrers', '..', '', '%', DIGEST, 'a'),
      fc.string(),
    )
    const check = (): void =>
      fc.assert(
        fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
          const path = `/v2/${pieces.join('/')}`
          try {
            const resource = parseRegistryPath(path)
            if (!('name' in resource)) return true
            return !resource.name
              .split('/')
              .some((part) => part === '' || part === '..' || /\p{Cc}|\\/u.test(decoded(part)))
          } catch (error) {
            return error instanceof ShoalError && error.meaning.status === 400
          }
        }),
        { numRuns: 2_000 },
      )
    expect(check).not.toThrow()
  })

  it('reads back any valid name and tag', () => {
    const component = fc.stringMatching(/^[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,4}){0,2}$/)
    fc.assert(
      fc.property(
        fc.array(component, { minLength: 1, maxLength: 5 }),
        fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/),
        (parts, tag) => {
          const name = parts.join('/')
          expect(parseRegistryPath(`/v2/${name}/manifests/${tag}`)).toEqual({
            kind: 'manifest',
            name,
            reference: { tag },
          })
        },
      ),
    )
  })
})

describe('parseRegistryQuery', () => {
  it.each([
    ['', { ns: undefined, rest: '' }],
    ['ns=docker.io', { ns: 'docker.io', rest: '' }],
    ['ns=10.99.0.1%3A5001', { ns: '10.99.0.1:5001', rest: '' }],
    ['n=10&ns=reg.test&last=a%2Fb', { ns: 'reg.test', rest: 'n=10&last=a%2Fb' }],
    ['ns=a.test&ns=b.test', { ns: 'a.test', rest: '' }],
    ['ns', { ns: '', rest: '' }],
    ['nsx=1', { ns: undefined, rest: 'nsx=1' }],
  ])('splits %s', (query, expected) => {
    expect(parseRegistryQuery(query)).toEqual(expected)
  })

  it.each(['ns=%', 'ns=a%2Fb', 'ns=a%00', 'ns=a%0d%0aX:1'])('refuses %s', (query) => {
    expect(() => parseRegistryQuery(query)).toThrow(expect.objectContaining({ code: 'NAME_INVALID' }))
  })
})

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
