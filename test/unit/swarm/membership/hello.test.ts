import { encode } from 'cborg'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasCode } from '../../../../src/errors.ts'
import { decodeHello, encodeHello, HELLO_MAX_BYTES, type Hello } from '../../../../src/swarm/membership/hello.ts'

const hello: Hello = {
  nonce: new Uint8Array(32).fill(1),
  time: 1_700_000_000_000,
  version: '0.1.0',
  zone: 'rack 7',
  lane: { fingerprint: 'ab'.repeat(32), port: 5052, hosts: ['10.0.0.7', 'fd00::7', 'node-7.example'] },
}

function refusal(bytes: Uint8Array): unknown {
  try {
    return decodeHello(bytes)
  } catch (error) {
    return error
  }
}

describe('hello', () => {
  it('comes back as it was sent', () => {
    expect(decodeHello(encodeHello(hello))).toEqual({ v: 1, ...hello })
  })

  it('fits its bound with the longest of everything', () => {
    const lane = { fingerprint: 'f'.repeat(64), port: 65_535, hosts: Array.from({ length: 20 }, () => 'h'.repeat(200)) }
    const longest = { ...hello, version: 'v'.repeat(64), zone: 'z'.repeat(64), lane }
    expect(encodeHello(longest).length).toBeLessThan(HELLO_MAX_BYTES)
    expect(decodeHello(encodeHello(longest)).lane.hosts).toHaveLength(8)
  })

  it('may say more in later versions', () => {
    const bytes = encode({ v: 1, ...hello, lane: { ...hello.lane, quic: true }, mood: 'good' })
    expect(decodeHello(bytes)).toEqual({ v: 1, ...hello })
  })

  it.each([
    ['another version', { ...hello, v: 2 }],
    ['a short nonce', { v: 1, ...hello, nonce: new Uint8Array(31) }],
    ['no nonce', { v: 1, ...hello, nonce: undefined }],
    ['a time that is no integer', { v: 1, ...hello, time: 1.5 }],
    ['a negative time', { v: 1, ...hello, time: -1 }],
    ['a version that writes to a terminal', { v: 1, ...hello, version: '\u001b[2J' }],
    ['a port too high', { v: 1, ...hello, lane: { ...hello.lane, port: 65_536 } }],
    ['a fingerprint that is none', { v: 1, ...hello, lane: { ...hello.lane, fingerprint: 'AB'.repeat(32) } }],
    ['a host with a slash', { v: 1, ...hello, lane: { ...hello.lane, hosts: ['a/b'] } }],
    ['too many hosts', { v: 1, ...hello, lane: { ...hello.lane, hosts: Array.from({ length: 9 }, () => 'a') } }],
    ['no lane', { v: 1, ...hello, lane: undefined }],
    ['a list', [1, 2, 3]],
    ['nothing', null],
  ])('refuses %s', (_, message) => {
    expect(hasCode(refusal(encode(message)), 'PEER_MISBEHAVED')).toBe(true)
  })

  it('refuses bytes that are no hello, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: HELLO_MAX_BYTES }), (bytes) => {
        expect(hasCode(refusal(bytes), 'PEER_MISBEHAVED')).toBe(true)
      }),
    )
  })

  it('refuses a hello of which any byte is missing', () => {
    const whole = encodeHello(hello)
    for (let length = 0; length < whole.length; length++)
      expect(hasCode(refusal(whole.subarray(0, length)), 'PEER_MISBEHAVED')).toBe(true)
  })
})
