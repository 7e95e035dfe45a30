import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SourceBody } from '../../src/blob/ports.ts'
import type { ErrorCode } from '../../src/errors.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { OriginClient, OriginClientInit } from '../../src/origin/origin-client.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { clientFor, scopeOf } from '../fixtures/fault-origin-client.ts'
import type { Fault } from '../fixtures/fault-origin-faults.ts'

const SIZE = 1_000_000
const content = randomBytes(SIZE)
const { signal } = new AbortController()
const always = { signal }
const whole = { start: 0, end: undefined }
const failure = (code: ErrorCode, facts: object = {}) => expect.objectContaining({ code, ...facts })
const blobs = { path: /blobs/ }

let origin: FaultOrigin
let client: OriginClient
let digest: Digest

beforeEach(async () => {
  origin = await FaultOrigin.start()
  client = clientFor([origin])
  digest = origin.addBlob(content)
})

afterEach(async () => {
  await client.close()
  await origin.close()
})

const open = (range: { start: number; end: number | undefined } = whole) =>
  client.blobSource(scopeOf(origin), digest).open(range, always)

async function collect({ bytes }: SourceBody, into: Uint8Array[] = []): Promise<Buffer> {
  for await (const part of bytes) into.push(part)
  return Buffer.concat(into)
}

const ranges = () => origin.requestsFor(/blobs/).map((one) => one.headers.range)

describe('a blob of an origin', () => {
  it('comes whole without a Range', async () => {
    const body = await open()
    expect(body.totalSize).toBe(SIZE)
    expect((await collect(body)).equals(content)).toBe(true)
    expect(ranges()).toEqual([undefined])
  })

  it.each([
    [10, 20, 'bytes=10-19'],
    [0, 5, 'bytes=0-4'],
    [999_999, undefined, 'bytes=999999-'],
    [0, SIZE + 10, `bytes=0-${SIZE + 9}`],
  ])('from %s to %s comes with the exact Range', async (start, end, range) => {
    const body = await open({ start, end })
    expect(body.totalSize).toBe(SIZE)
    expect((await collect(body)).equals(content.subarray(start, end))).toBe(true)
    expect(ranges()).toEqual([range])
  })

  it('may be empty', async () => {
    const empty = origin.addBlob(Buffer.alloc(0))
    const body = await client.blobSource(scopeOf(origin), empty).open(whole, always)
    expect(body.totalSize).toBe(0)
    expect(await collect(body)).toHaveLength(0)
  })

  it('may be empty, where no range of it can be had', async () => {
    digest = origin.addBlob(Buffer.alloc(0))
    origin.inject({
      fault: { kind: 'status', status: 416 },
      match: { when: ({ headers }) => headers.range !== undefined },
    })
    const body = await open({ start: 0, end: 4096 })
    expect(body.totalSize).toBe(0)
    expect((await collect(body)).length).toBe(0)
    expect(ranges()).toEqual(['bytes=0-4095', undefined])
  })

  it('comes over TLS', async () => {
    await using secure = await FaultOrigin.start({ tls: true })
    secure.addBlob(content)
    const trusting = clientFor([secure])
    const body = await trusting.blobSource(scopeOf(secure), digest).open(whole, always)
    expect((await collect(body)).equals(content)).toBe(true)
    await trusting.close()
  })

  it('is found unknown', async () => {
    origin.removeBlob(digest)
    await expect(open()).rejects.toEqual(failure('BLOB_UNKNOWN'))
  })

  it.each<[string, Fault]>([
    ['cut', { kind: 'cut', after: 300_000 }],
    ['cut before the first byte', { kind: 'cut', after: 0 }],
    ['stalled', { kind: 'hang-body', after: 300_000 }],
  ])('goes on where it was when %s', async (_, fault) => {
    origin.inject({ fault, match: blobs })
    expect((await collect(await open())).equals(content)).toBe(true)
    expect(ranges()).toHaveLength(2)
    expect(origin.egressBytes()).toBe(SIZE)
  })

  it('goes on within a range that was asked for', async () => {
    origin.inject({ fault: { kind: 'cut', after: 300_000 }, match: blobs })
    expect((await collect(await open({ start: 100, end: 900_000 }))).equals(content.subarray(100, 900_000))).toBe(true)
    expect(ranges()).toEqual(['bytes=100-899999', 'bytes=300100-899999'])
  })

  it('goes on for as long as every request brings something', async () => {
    origin.inject({ fault: { kind: 'cut', after: 70_000 }, match: blobs, times: 14 })
    expect((await collect(await open())).equals(content)).toBe(true)
    expect(ranges()).toHaveLength(15)
  })

  it('is given up after four requests that bring nothing', async () => {
    const parts: Uint8Array[] = []
    origin.inject({ fault: { kind: 'hang-body', after: 300_000 }, match: blobs })
    const body = await open()
    origin.inject({ fault: { kind: 'close' }, match: blobs, times: Infinity })
    origin.dropConnections()
    await expect(collect(body, parts)).rejects.toEqual(failure('ORIGIN_UNAVAILABLE'))
    expect(content.subarray(0, Buffer.concat(parts).length).equals(Buffer.concat(parts))).toBe(true)
    expect(ranges()).toHaveLength(5)
  })

  it.each([500, 503, 429])('goes on after %s in between', async (status) => {
    origin.inject({
      fault: { kind: 'status', status },
      match: { ...blobs, when: (one) => 'range' in one.headers },
      times: 2,
    })
    origin.inject({ fault: { kind: 'cut', after: 300_000 }, match: blobs })
    expect((await collect(await open())).equals(content)).toBe(true)
  })

  it.each<[string, Fault, ErrorCode]>([
    ['is gone', { kind: 'status', status: 404 }, 'BLOB_UNKNOWN'],
    ['is denied', { kind: 'status', status: 403 }, 'DENIED'],
    ['has no such range', { kind: 'status', status: 416 }, 'ORIGIN_MISBEHAVED'],
    [
      'has another size',
      { kind: 'headers', headers: { 'content-range': 'bytes 300000-999999/1000001' } },
      'ORIGIN_MISBEHAVED',
    ],
    ['has another tag', { kind: 'headers', headers: { etag: '"changed"' } }, 'ORIGIN_MISBEHAVED'],
    [
      'has another digest',
      { kind: 'headers', headers: { 'docker-content-digest': 'sha256:other' } },
      'ORIGIN_MISBEHAVED',
    ],
  ])('fails at once when after a cut it %s', async (_, fault, code) => {
    origin.inject({ fault, match: { ...blobs, when: (one) => 'range' in one.headers } })
    origin.inject({ fault: { kind: 'cut', after: 300_000 }, match: blobs })
    const parts: Uint8Array[] = []
    await expect(collect(await open(), parts)).rejects.toEqual(failure(code))
    expect(Buffer.concat(parts).equals(content.subarray(0, 300_000))).toBe(true)
    expect(ranges()).toHaveLength(2)
  })

  it('comes from an origin that ignores Range, from its start and after a cut', async () => {
    origin.inject({ fault: { kind: 'no-range' }, match: blobs })
    expect(
      (await collect(await open({ start: 500_000, end: 600_000 }))).equals(content.subarray(500_000, 600_000)),
    ).toBe(true)
    origin.inject({ fault: { kind: 'no-range' }, match: { ...blobs, when: (one) => 'range' in one.headers } })
    origin.inject({ fault: { kind: 'cut', after: 300_000 }, match: blobs })
    expect((await collect(await open())).equals(content)).toBe(true)
    expect(ranges()).toEqual(['bytes=500000-599999', undefined, 'bytes=300000-'])
  })

  it.each<[string, Fault]>([
    ['of another start', { kind: 'other-start', by: 7 }],
    ['without Content-Range', { kind: 'headers', headers: { 'content-range': undefined } }],
    ['with nonsense in Content-Range', { kind: 'headers', headers: { 'content-range': 'bytes 10-/x' } }],
    ['with another length than it says', { kind: 'headers', headers: { 'content-range': 'bytes 10-18/1000000' } }],
    ['that ends behind the blob', { kind: 'headers', headers: { 'content-range': 'bytes 10-19/15' } }],
  ])('rejects a partial answer %s', async (_, fault) => {
    origin.inject({ fault, match: blobs })
    await expect(open({ start: 10, end: 20 })).rejects.toEqual(failure('ORIGIN_MISBEHAVED'))
  })

  it('comes without a Content-Length, its size is asked for', async () => {
    origin.inject({ fault: { kind: 'no-length' }, match: { ...blobs, method: 'GET' } })
    const body = await open()
    expect(body.totalSize).toBe(content.length)
    expect((await collect(body)).equals(content)).toBe(true)
  })

  it('goes on after a cut when its size was not known', async () => {
    origin.inject({ fault: { kind: 'no-length' }, match: { ...blobs, method: 'HEAD' } })
    origin.inject({ fault: { kind: 'cut', after: 300_000, chunked: true }, match: { ...blobs, method: 'GET' } })
    const body = await open()
    expect(body.totalSize).toBeUndefined()
    expect((await collect(body)).equals(content)).toBe(true)
    expect(origin.requestsFor(/blobs/, 'GET').map((one) => one.headers.range)).toEqual([undefined, 'bytes=300000-'])
  })

  it('asks for the rest when a partial answer ends early and cleanly', async () => {
    origin.inject({ fault: { kind: 'short', after: 50 }, match: blobs })
    expect((await collect(await open({ start: 100, end: 300 }))).equals(content.subarray(100, 300))).toBe(true)
    expect(ranges()).toEqual(['bytes=100-299', 'bytes=150-299'])
  })

  it('fails when it is shorter than its Content-Length', async () => {
    origin.inject({ fault: { kind: 'headers', headers: { 'content-length': `${SIZE + 100}` } }, match: blobs })
    const parts: Uint8Array[] = []
    await expect(collect(await open(), parts)).rejects.toEqual(failure('ORIGIN_MISBEHAVED'))
    expect(Buffer.concat(parts).equals(content)).toBe(true)
  })

  it('never gives more than was announced', async () => {
    origin.inject({ fault: { kind: 'long', extra: 1000 }, match: blobs })
    const parts: Uint8Array[] = []
    await expect(collect(await open({ start: 999_000, end: undefined }), parts)).rejects.toEqual(
      failure('ORIGIN_MISBEHAVED'),
    )
    expect(Buffer.concat(parts).equals(content.subarray(999_000))).toBe(true)
  })

  it('asks the registry again when the signed URL of a redirect has expired', async () => {
    await using cdn = await FaultOrigin.start()
    origin.redirectBlobsTo(cdn, { uses: 1 })
    cdn.inject({ fault: { kind: 'cut', after: 300_000 } })
    cdn.inject({ fault: { kind: 'status', status: 403 } })
    expect((await collect(await open())).equals(content)).toBe(true)
    expect(origin.requests).toHaveLength(3)
    expect(cdn.requests.map((one) => one.headers.range)).toEqual([undefined, undefined, 'bytes=300000-'])
  })

  it('survives a restart of the origin in the middle', async () => {
    origin.inject({ fault: { kind: 'hang-body', after: 300_000 }, match: blobs })
    const patient = clientFor([origin], {
      init: { stallMs: 10_000, resumeBackoff: { baseMs: 20, factor: 10 }, outageMs: 50 },
    })
    const { bytes } = await patient.blobSource(scopeOf(origin), digest).open(whole, always)
    const parts: Uint8Array[] = []
    let length = 0
    for await (const part of bytes) {
      parts.push(part)
      length += part.length
      if (length === 300_000) {
        await origin.goOffline()
        setTimeout(() => void origin.goOnline(), 100)
      }
    }
    expect(Buffer.concat(parts).equals(content)).toBe(true)
    await patient.close()
  })
})

describe('reading a blob', () => {
  const large = Buffer.alloc(64 * 1024 * 1024, 1)

  it('closes the connection as soon as nobody reads on', async () => {
    digest = origin.addBlob(large)
    for await (const part of (await open()).bytes) {
      expect(part.length).toBeGreaterThan(0)
      break
    }
    await origin.until(({ requests }) => requests.at(-1)?.aborted === true)
    expect(origin.egressBytes()).toBeLessThan(large.length)
  })

  it('takes nothing ahead of its reader but a small buffer', async () => {
    digest = origin.addBlob(large)
    const patient = clientFor([origin], { init: { stallMs: 100 } })
    const { bytes } = await patient.blobSource(scopeOf(origin), digest).open(whole, always)
    const iterator = bytes[Symbol.asyncIterator]()
    await iterator.next()
    // Longer than the stall deadline: a slow reader is no stall of the origin.
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(origin.egressBytes()).toBeLessThan(16 * 1024 * 1024)
    let length = 0
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) length += next.value.length
    expect(length).toBeGreaterThan(large.length - 1024 * 1024)
    expect(origin.requests).toHaveLength(1)
    await patient.close()
  })

  it('ends at once when the caller leaves', async () => {
    origin.inject({ fault: { kind: 'hang-body', after: 1000 }, match: blobs })
    const patient = clientFor([origin], { init: { stallMs: 60_000 } })
    const stop = new AbortController()
    const { bytes } = await patient.blobSource(scopeOf(origin), digest).open(whole, { signal: stop.signal })
    const reading = collect({ bytes, totalSize: undefined })
    await origin.until(() => origin.egressBytes() === 1000)
    stop.abort()
    await expect(reading).rejects.toEqual(failure('ABORTED'))
    await origin.until(({ requests }) => requests.every((one) => one.aborted))
    await patient.close()
  })

  it('keeps to the rate, over all blobs together', async () => {
    const init: Partial<OriginClientInit> = { rateBytesPerSecond: 2_000_000 }
    const limited = clientFor([origin], { init })
    const begun = performance.now()
    const bodies = await Promise.all([1, 2].map(() => limited.blobSource(scopeOf(origin), digest).open(whole, always)))
    await Promise.all(bodies.map((one) => collect(one)))
    // 2 MB at 2 MB/s, of which a quarter of a second is free.
    expect(performance.now() - begun).toBeGreaterThan(700)
    await limited.close()
  })

  it('uses no more connections than allowed, and never lets bodies hold up questions', async () => {
    const narrow = clientFor([origin], { init: { connectionsPerHost: 2, firstByteMs: 10_000, stallMs: 10_000 } })
    const hang = origin.inject({
      fault: { kind: 'hang-body', after: 10 },
      match: { ...blobs, method: 'GET' },
      times: 2,
    })
    const source = narrow.blobSource(scopeOf(origin), digest)
    const bodies = [source.open(whole, always), source.open(whole, always), source.open(whole, always)]
    await origin.until(() => hang.hits === 2)
    expect(await narrow.checkBlob(scopeOf(origin), digest, always)).toBe(SIZE)
    expect(origin.requestsFor(/blobs/, 'GET')).toHaveLength(2)
    hang.release()
    for (const body of await Promise.all(bodies.slice(0, 2))) expect(await collect(body)).toHaveLength(SIZE)
    expect(await collect((await bodies[2]) ?? (await open()))).toHaveLength(SIZE)
    await narrow.close()
  })

  it('leaves no listener on the signal of the caller', async () => {
    const stop = new AbortController()
    let listeners = 0
    const add = stop.signal.addEventListener.bind(stop.signal)
    const remove = stop.signal.removeEventListener.bind(stop.signal)
    stop.signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1
      add(...args)
    }
    stop.signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1
      remove(...args)
    }
    origin.inject({ fault: { kind: 'cut', after: 1000 }, match: blobs })
    for (let i = 0; i < 3; i += 1) {
      const body = await client.blobSource(scopeOf(origin), digest).open(whole, { signal: stop.signal })
      await collect(body)
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(listeners).toBeLessThanOrEqual(0)
  })
})
