import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../../../src/oci/digest.ts'
import { type LaneBody, parseLaneHead, readLaneHead } from '../../../../src/swarm/lane/lane-answer.ts'

const BLOB = { digest: `sha256:${'ab'.repeat(32)}` as Digest, registry: 'docker.io' }
const PEER = 'peer-1'

function read(text: string, range?: { start: number; end: number }): LaneBody {
  const head = parseLaneHead(text.replaceAll('\n', '\r\n'))
  if (head === undefined) throw new Error('no head')
  return readLaneHead(PEER, head, { ...BLOB, range })
}

describe('the head of an answer', () => {
  it('tells the size of the whole blob', () => {
    expect(read('HTTP/1.1 200 OK\nContent-Length: 700')).toEqual({ totalSize: 700, length: 700, isLast: false })
    const part = 'HTTP/1.1 206 Partial Content\ncontent-length: 10\ncontent-range: bytes 5-14/700\nConnection: close'
    expect(read(part, { start: 5, end: 15 })).toEqual({ totalSize: 700, length: 10, isLast: true })
  })

  it('may be that of all of it if that is what was asked for', () => {
    expect(read('HTTP/1.1 200 OK\ncontent-length: 15', { start: 0, end: 15 }).totalSize).toBe(15)
  })

  it.each([
    ['another start', 'HTTP/1.1 206 P\ncontent-length: 10\ncontent-range: bytes 4-13/700'],
    ['another end', 'HTTP/1.1 206 P\ncontent-length: 11\ncontent-range: bytes 5-15/700'],
    ['a length that is not that of its range', 'HTTP/1.1 206 P\ncontent-length: 11\ncontent-range: bytes 5-14/700'],
    ['no range', 'HTTP/1.1 206 P\ncontent-length: 10'],
    ['no length', 'HTTP/1.1 206 P\ncontent-range: bytes 5-14/700'],
    ['a range beyond its size', 'HTTP/1.1 206 P\ncontent-length: 10\ncontent-range: bytes 5-14/14'],
    ['no size', 'HTTP/1.1 206 P\ncontent-length: 10\ncontent-range: bytes 5-14/*'],
    ['all of a larger blob', 'HTTP/1.1 200 OK\ncontent-length: 700'],
    ['an encoded body', 'HTTP/1.1 206 P\ncontent-length: 10\ncontent-range: bytes 5-14/700\ncontent-encoding: gzip'],
    ['chunks', 'HTTP/1.1 206 P\ncontent-length: 10\ncontent-range: bytes 5-14/700\ntransfer-encoding: chunked'],
    ['a length that is no number', 'HTTP/1.1 206 P\ncontent-length: +10\ncontent-range: bytes 5-14/700'],
    ['a redirect', 'HTTP/1.1 307 Temporary Redirect\nlocation: http://localhost/\ncontent-length: 0'],
    ['a question of its own', 'HTTP/1.1 401 Unauthorized\nwww-authenticate: Basic\ncontent-length: 0'],
    ['no content', 'HTTP/1.1 204 No Content'],
  ])('is misbehaviour with %s', (_title, text) => {
    expect(() => read(text, { start: 5, end: 15 })).toThrow(
      expect.objectContaining({ code: 'PEER_MISBEHAVED', detail: expect.objectContaining({ peer: PEER }) }),
    )
  })

  it.each([
    ['range', 'PEER_CROWDED'],
    ['peer', 'PEER_PUTS_OFF'],
    ['something of a later version', 'PEER_CROWDED'],
  ])('that says that %s is crowded means %s', (crowded, code) => {
    expect(() => read(`HTTP/1.1 429 X\nshoal-crowded: ${crowded}\ncontent-length: 0`)).toThrow(
      expect.objectContaining({ code }),
    )
  })

  it.each([
    [404, 'PEER_LACKS'],
    [409, 'PEER_LACKS'],
    [429, 'PEER_BUSY'],
    [503, 'PEER_BUSY'],
    [500, 'PEER_UNAVAILABLE'],
    [416, 'PEER_MISBEHAVED'],
  ])('of status %s means %s', (status, code) => {
    expect(() => read(`HTTP/1.1 ${status} X\ncontent-length: 0`)).toThrow(
      expect.objectContaining({ code, detail: expect.objectContaining({ peer: PEER, status }) }),
    )
  })

  it.each([
    ['3', 3_000],
    ['999999', 60_000],
    ['-1', 1_000],
    ['soon', 1_000],
  ])('bounds a Retry-After of %s', (value, retryAfterMs) => {
    expect(() => read(`HTTP/1.1 429 X\nretry-after: ${value}`)).toThrow(
      expect.objectContaining({ detail: expect.objectContaining({ retryAfterMs }) }),
    )
  })

  it.each([
    '',
    'HTTP/1.0 200 OK',
    'HTTP/2 200',
    'HTTP/1.1 100 Continue',
    'HTTP/1.1 20 OK',
    'SSH-2.0-OpenSSH',
    'HTTP/1.1 200 OK\r\nno colon',
    'HTTP/1.1 200 OK\r\na: 1\r\n continued',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nContent-Length: 2',
    'HTTP/1.1 200 OK\r\na: \u0000',
    'HTTP/1.1 200 OK\na: 1',
  ])('is not %j', (text) => {
    expect(parseLaneHead(text)).toBeUndefined()
  })

  it('is read from any text without an error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `HTTP/1.1 200 OK\r\n${text}`),
        ),
        (text) => {
          const head = parseLaneHead(text)
          expect(head === undefined || head.status >= 200).toBe(true)
        },
      ),
    )
  })
})
