import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Digest, digestHex } from '../../src/oci/digest.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { randomBytesOf } from '../fixtures/random-bytes.ts'
import { TestAgent, type TestAgentInit } from '../fixtures/test-agent.ts'

const KIB = 1024
const MIB = 1024 * KIB
const SMALL = randomBytesOf('small', 100 * KIB)
const LARGE = randomBytesOf('large', 20 * MIB + 12_345)
const CHUNK = 256 * KIB

let origin: FaultOrigin
const agents: TestAgent[] = []

beforeEach(async () => {
  origin = await FaultOrigin.start()
})
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent[Symbol.asyncDispose]()
  await origin.close()
})

async function startAgent(init: Omit<TestAgentInit, 'origins'> = {}): Promise<TestAgent> {
  const agent = await TestAgent.start({ origins: [origin.registry], ...init })
  agents.push(agent)
  return agent
}

const path = (digest: Digest): string => `/v2/app/blobs/${digest}`

async function pull(agent: TestAgent, digest: Digest, headers: Record<string, string> = {}): Promise<Buffer> {
  const answer = await fetch(agent.url(path(digest)), { headers })
  expect([200, 206]).toContain(answer.status)
  return Buffer.from(await answer.arrayBuffer())
}

/** Reads until the body is cut. @returns how much came */
async function readUntilCut(answer: Response): Promise<number> {
  let received = 0
  await expect(
    (async () => {
      for await (const piece of answer.body ?? []) received += piece.length
    })(),
  ).rejects.toThrow()
  return received
}

describe('a cold blob', () => {
  it('arrives whole, is stored, and needs the origin once', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([digest])
    await origin.goOffline()
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
    expect(origin.egressBytes()).toBe(LARGE.length)
  })

  it('says how it was come by', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(SMALL)
    const first = await fetch(agent.url(path(digest)))
    expect(first.headers.get('cache-status')).toBe('shoal; fwd=miss')
    expect(first.headers.get('docker-content-digest')).toBe(digest)
    expect(first.headers.get('content-length')).toBe(`${SMALL.length}`)
    await first.arrayBuffer()
    await agent.idle()
    const second = await fetch(agent.url(path(digest)))
    expect(second.headers.get('cache-status')).toBe('shoal; hit')
    await second.arrayBuffer()
  })

  it('is downloaded once for ten clients at the same time', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    const bodies = await Promise.all(Array.from({ length: 10 }, () => pull(agent, digest)))
    expect(bodies.every((body) => body.equals(LARGE))).toBe(true)
    expect(origin.egressBytes()).toBe(LARGE.length)
  })

  it('reaches the client while it arrives', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    const hang = origin.inject({ fault: { kind: 'hang-body', after: 5 * MIB + 100 }, match: { path: /blobs/ } })
    const answer = await fetch(agent.url(path(digest)))
    const reader = answer.body?.getReader()
    let received = 0
    while (received < 5 * MIB + 100) received += (await reader?.read())?.value?.length ?? 0
    expect(received).toBe(5 * MIB + 100)
    hang.release()
    for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read()) {
      received += piece.value?.length ?? 0
    }
    expect(received).toBe(LARGE.length)
  })

  it('of no bytes at all is a blob too', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(Buffer.alloc(0))
    expect(await pull(agent, digest)).toHaveLength(0)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([digest])
  })

  it('is 404 when the origin does not have it', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(SMALL)
    origin.removeBlob(digest)
    const answer = await fetch(agent.url(path(digest)))
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ errors: [{ code: 'BLOB_UNKNOWN' }] })
  })

  it('goes on for the others when one client leaves, and is stored when all have left', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    const hang = origin.inject({ fault: { kind: 'hang-body', after: 8 * MIB }, match: { path: /blobs/ } })
    const leaving = new AbortController()
    const first = await fetch(agent.url(path(digest)), { signal: leaving.signal })
    const second = pull(agent, digest)
    await first.body?.getReader().read()
    leaving.abort()
    hang.release()
    expect((await second).equals(LARGE)).toBe(true)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([digest])
    expect(origin.egressBytes()).toBe(LARGE.length)
  })
})

describe('wrong bytes', () => {
  it('never complete a body: the last chunk is held back until the digest matched', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    origin.inject({ fault: { kind: 'corrupt', at: 3 * MIB }, match: { path: /blobs/ } })
    const answer = await fetch(agent.url(path(digest)))
    const received = await readUntilCut(answer)
    expect(received).toBeLessThanOrEqual(Math.floor(LARGE.length / CHUNK) * CHUNK)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([])
    expect(await readdir(join(agent.dir, 'partial'))).toEqual([])
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
  })

  it('in the last chunk are not sent either', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    origin.inject({ fault: { kind: 'corrupt', at: LARGE.length - 1 }, match: { path: /blobs/ } })
    const received = await readUntilCut(await fetch(agent.url(path(digest))))
    expect(received).toBeLessThanOrEqual(Math.floor(LARGE.length / CHUNK) * CHUNK)
  })

  it('of a small blob are fetched again, unseen by the client', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(SMALL)
    origin.inject({ fault: { kind: 'corrupt', at: 10 }, match: { path: /blobs/ } })
    expect((await pull(agent, digest)).equals(SMALL)).toBe(true)
    expect(origin.egressBytes()).toBe(2 * SMALL.length)
  })

  it('of a small blob, again and again, are an answer without a body', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(SMALL)
    origin.inject({ fault: { kind: 'corrupt', at: 10 }, match: { path: /blobs/ }, times: 10 })
    const answer = await fetch(agent.url(path(digest)))
    expect(answer.status).toBe(404)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([])
  })

  it('of a sha512 blob are cut off too, and right ones come through', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE, { algorithm: 'sha512' })
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
    origin.inject({ fault: { kind: 'corrupt', at: 1 }, match: { path: /blobs/ } })
    const received = await readUntilCut(await fetch(agent.url(path(digest))))
    expect(received).toBeLessThan(LARGE.length)
  })
})

describe('an origin that fails in the middle', () => {
  it('is asked for the rest, and the client notices nothing', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    origin.inject({ fault: { kind: 'cut', after: 7 * MIB + 1 }, match: { path: /blobs/ } })
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
    expect(origin.egressBytes()).toBeLessThan(LARGE.length + MIB)
  })

  it('and has gone for good leaves what it sent to the next pull', async () => {
    const agent = await startAgent({ origin: { stall: '300ms' } })
    const digest = origin.addBlob(LARGE)
    origin.inject({ fault: { kind: 'cut', after: 10 * MIB }, match: { path: /blobs/ } })
    origin.inject({
      fault: { kind: 'status', status: 404 },
      match: { path: /blobs/, when: (r) => r.headers.range !== undefined },
    })
    await readUntilCut(await fetch(agent.url(path(digest))))
    await agent.idle()
    const before = origin.egressBytes()
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
    expect(origin.egressBytes() - before).toBeLessThan(LARGE.length - 8 * MIB)
  })

  it('is not waited for longer than the first byte may take', async () => {
    const agent = await startAgent({ facade: { firstByte: '300ms' } })
    const digest = origin.addBlob(LARGE)
    origin.inject({ fault: { kind: 'hang' }, match: { path: /blobs/ }, times: 100 })
    const answer = await fetch(agent.url(path(digest)))
    expect(answer.status).toBe(404)
  })
})

describe('ranges of a cold blob', () => {
  it('far into it get a request of their own', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    const hang = origin.inject({ fault: { kind: 'hang-body', after: MIB }, match: { path: /blobs/ } })
    const start = 15 * MIB + 77
    const body = await pull(agent, digest, { range: `bytes=${start}-${start + 99_999}` })
    expect(body.equals(LARGE.subarray(start, start + 100_000))).toBe(true)
    hang.release()
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([digest])
  })

  it('asked for in parallel and open-ended, as containerd does, cost about one copy', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    const step = 4 * MIB
    const starts = Array.from({ length: Math.ceil(LARGE.length / step) }, (_, index) => index * step)
    const parts = await Promise.all(
      starts.map(async (start) => {
        const leaving = new AbortController()
        const answer = await fetch(agent.url(path(digest)), {
          headers: { range: `bytes=${start}-` },
          signal: leaving.signal,
        })
        const wanted = Math.min(step, LARGE.length - start)
        expect(answer.headers.get('content-range')).toBe(`bytes ${start}-${LARGE.length - 1}/${LARGE.length}`)
        const pieces: Uint8Array[] = []
        let received = 0
        const reader = answer.body?.getReader()
        while (received < wanted) {
          const piece = await reader?.read()
          if (piece?.done !== false) break
          pieces.push(piece.value)
          received += piece.value.length
        }
        leaving.abort()
        return Buffer.concat(pieces).subarray(0, wanted)
      }),
    )
    expect(Buffer.concat(parts).equals(LARGE)).toBe(true)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([digest])
    expect(origin.egressBytes()).toBeLessThan(1.5 * LARGE.length)
  })

  it('several at once come as multipart', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    const answer = await fetch(agent.url(path(digest)), { headers: { range: 'bytes=0-9,5000000-5000009,-5' } })
    expect(answer.status).toBe(206)
    expect(answer.headers.get('content-type')).toMatch(/^multipart\/byteranges; boundary=/)
    const body = Buffer.from(await answer.arrayBuffer())
    for (const part of [LARGE.subarray(0, 10), LARGE.subarray(5_000_000, 5_000_010), LARGE.subarray(-5)]) {
      expect(body.includes(part)).toBe(true)
    }
  })

  it('beyond its end are 416', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(SMALL)
    const answer = await fetch(agent.url(path(digest)), { headers: { range: `bytes=${SMALL.length}-` } })
    expect(answer.status).toBe(416)
    expect(answer.headers.get('content-range')).toBe(`bytes */${SMALL.length}`)
  })
})

describe('a partial blob', () => {
  async function leaveHalf(agent: TestAgent, digest: Digest): Promise<void> {
    const hang = origin.inject({ fault: { kind: 'hang-body', after: 10 * MIB }, match: { path: /blobs/ } })
    const answer = await fetch(agent.url(path(digest)))
    const reader = answer.body?.getReader()
    for (let received = 0; received < 10 * MIB; ) received += (await reader?.read())?.value?.length ?? 0
    await agent.stop()
    await reader?.cancel().catch(() => undefined)
    hang.release()
  }

  it('survives a restart, and only the rest is fetched', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    await leaveHalf(agent, digest)
    await agent.restart()
    const before = origin.egressBytes()
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
    expect(origin.egressBytes() - before).toBeLessThan(LARGE.length - 8 * MIB)
  })

  it('that was damaged on disk is mended', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    await leaveHalf(agent, digest)
    const file = join(agent.dir, 'partial', digestHex(digest))
    const bytes = await readFile(file)
    bytes[3 * MIB] = (bytes[3 * MIB] ?? 0) ^ 0xff
    await writeFile(file, bytes)
    await agent.restart()
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([digest])
  })

  it('is not given to a client that the origin refuses', async () => {
    const agent = await startAgent({ origin: { rememberAccess: '0s' } })
    const digest = origin.addBlob(LARGE)
    await leaveHalf(agent, digest)
    await agent.restart()
    origin.auth = { kind: 'bearer', users: { ann: 'secret' } }
    const answer = await fetch(agent.url(path(digest)), { headers: { authorization: 'Bearer wrong' } })
    expect([401, 404]).toContain(answer.status)
  })
})

describe('a store that cannot take the blob', () => {
  it('because it is larger than the quota, passes it through', async () => {
    const agent = await startAgent({ store: { quota: '1MiB' } })
    const digest = origin.addBlob(LARGE)
    const answer = await fetch(agent.url(path(digest)))
    expect(answer.headers.get('cache-status')).toBe('shoal; fwd=bypass')
    expect(Buffer.from(await answer.arrayBuffer()).equals(LARGE)).toBe(true)
    expect(await agent.storedDigests()).toEqual([])
    const range = await pull(agent, digest, { range: 'bytes=1000000-1000009' })
    expect(range.equals(LARGE.subarray(1_000_000, 1_000_010))).toBe(true)
  })

  it('because its directory cannot be used, passes everything through', async () => {
    const agent = await startAgent({ store: { dir: '/dev/null/shoal' } })
    const digest = origin.addBlob(LARGE)
    expect((await pull(agent, digest)).equals(LARGE)).toBe(true)
    const { store, traffic } = await agent.status()
    expect(store.unusable).toMatch(/\/dev\/null\/shoal cannot be used: /)
    expect(traffic.fromOrigin).toBe(LARGE.length)
    origin.inject({ fault: { kind: 'corrupt', at: 99 }, match: { path: /blobs/ }, times: 2 })
    expect(await readUntilCut(await fetch(agent.url(path(digest))))).toBeLessThan(LARGE.length)
  })
})

describe('an origin whose bytes are wrong each time', () => {
  it('is believed twice, then the blob is refused at once', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    origin.inject({ fault: { kind: 'corrupt', at: 3 * MIB }, match: { path: /blobs/ }, times: 100 })
    for (let time = 0; time < 2; time++) {
      await readUntilCut(await fetch(agent.url(path(digest))))
      await agent.idle()
    }
    const asked = origin.requests.length
    expect((await fetch(agent.url(path(digest)))).status).toBe(404)
    expect(origin.requests).toHaveLength(asked)
  })

  it('is given up when it cuts every body after little', { timeout: 60_000 }, async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(LARGE)
    origin.inject({ fault: { kind: 'cut', after: 100 }, match: { path: /blobs/ }, times: 1000 })
    await readUntilCut(await fetch(agent.url(path(digest))))
    expect(origin.requests.length).toBeLessThan(20)
  })
})

describe('what a client has seen is what gets verified', () => {
  it('an empty answer never completes as a blob that is not empty', async () => {
    const agent = await startAgent()
    const digest = origin.addBlob(SMALL)
    const empty = { kind: 'headers', headers: { 'content-length': '0' } } as const
    origin.inject({ fault: empty, match: { path: /blobs/ }, times: 100 })
    const answer = await fetch(agent.url(path(digest)))
    expect(answer.status).toBe(404)
  })
})

describe('two registries', () => {
  let other: FaultOrigin
  beforeEach(async () => {
    other = await FaultOrigin.start()
  })
  afterEach(() => other.close())

  const through = (registry: FaultOrigin, digest: Digest): string =>
    `${path(digest)}?ns=${encodeURIComponent(registry.registry)}`

  it('do not hold up or spoil each other', async () => {
    const agent = await startAgent({
      origin: { registries: { [origin.registry]: { plainHttp: true }, [other.registry]: { plainHttp: true } } },
    })
    const digest = origin.addBlob(LARGE)
    other.addBlob(LARGE)
    const hang = other.inject({ fault: { kind: 'hang' }, match: { path: /blobs/ }, times: 100 })
    const leaving = new AbortController()
    const stuck = fetch(agent.url(through(other, digest)), { signal: leaving.signal }).catch(() => undefined)
    await other.until(() => hang.hits > 0)
    const answer = await fetch(agent.url(through(origin, digest)))
    expect(Buffer.from(await answer.arrayBuffer()).equals(LARGE)).toBe(true)
    leaving.abort()
    await stuck
    hang.release()
  })
})
