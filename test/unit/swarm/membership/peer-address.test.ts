import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatMultiaddr,
  isNumericMultiaddr,
  parseMultiaddr,
  parsePeerAddress,
} from '../../../../src/swarm/membership/peer-address.ts'

describe('addresses of peers', () => {
  it.each([
    ['10.0.0.7', { host: '10.0.0.7', port: 5051, id: undefined }],
    ['node-7', { host: 'node-7', port: 5051, id: undefined }],
    ['node-7:6000', { host: 'node-7', port: 6000, id: undefined }],
    ['[fd00::7]', { host: 'fd00::7', port: 5051, id: undefined }],
    ['[fd00::7]:6000', { host: 'fd00::7', port: 6000, id: undefined }],
    ['/ip4/10.0.0.7/tcp/6000', { host: '10.0.0.7', port: 6000, id: undefined }],
    ['/dns4/shoal.svc/tcp/5051', { host: 'shoal.svc', port: 5051, id: undefined }],
    ['/ip6/fd00::7/tcp/6000/p2p/12D3KooWxyz', { host: 'fd00::7', port: 6000, id: '12D3KooWxyz' }],
  ])('reads %s', (text, expected) => {
    expect(parsePeerAddress(text, 5051)).toEqual(expected)
  })

  it.each([
    'fd00::7',
    'a b',
    '',
    '/ip4/10.0.0.256/tcp/1',
    '/ip6/10.0.0.1/tcp/1',
    '/ip4/10.0.0.1/udp/1/quic-v1',
    '/ip4/10.0.0.1/tcp/65536',
    '/ip4/10.0.0.1/tcp/80/ws',
    '/dnsaddr/example.com',
    '/unix/tmp',
  ])('does not read %j', (text) => {
    expect(parsePeerAddress(text, 5051)).toBeUndefined()
  })

  it.each([
    ['/ip4/10.0.0.7/tcp/5051', true],
    ['/ip4/10.0.0.7/tcp/5051/p2p/12D3KooWxyz', true],
    ['/dns4/metadata.internal/tcp/80', false],
    ['/ip4/0.0.0.0/tcp/80', false],
    ['/ip4/10.0.0.7/tcp/0', false],
    ['/ip4/10.0.0.7/tcp/5051/p2p/a/p2p-circuit', false],
  ])('takes %s from a peer: %s', (text, expected) => {
    expect(isNumericMultiaddr(text)).toBe(expected)
  })

  it('writes what it reads', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65_535 }), (host, port) => {
        expect(parseMultiaddr(formatMultiaddr({ host, port, id: undefined }))).toEqual({ host, port, id: undefined })
      }),
    )
  })
})
