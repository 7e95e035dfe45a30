import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { expect, it, vi } from 'vitest'
import { createLaneCertificate } from '../../src/swarm/lane/lane-certificate.ts'
import { formatLaneTarget } from '../../src/swarm/lane/lane-protocol.ts'
import { patternBytes } from '../fakes/fake-blob-reader.ts'
import {
  type AskingSide,
  CLIENT,
  introduce,
  REGISTRY,
  type ServingSide,
  startClient,
  startServer,
} from '../fixtures/lane-pair.ts'
import { collect, laneRequest } from '../fixtures/lane-requests.ts'
import { rawLane, readRaw } from '../fixtures/scripted-lane.ts'

const CONTENT = patternBytes(600_000)
const LARGE = Buffer.alloc(64 * 1024 * 1024, 3)

type Cleanup = Parameters<typeof startClient>[0]

async function pair(context: Cleanup, limits = {}): Promise<AskingSide & ServingSide & { target: string }> {
  const serving = await startServer(context, { limits })
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(CONTENT, REGISTRY)
  const target = formatLaneTarget(laneRequest(digest))
  return { ...serving, ...asking, target, members: serving.members }
}

function get(target: string, ...headers: string[]): string {
  return [`GET ${target} HTTP/1.1`, 'host: lane', ...headers, '', ''].join('\r\n')
}

async function tcp(port: number): Promise<Socket> {
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

async function isClosed(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.resume()
  socket.once('close', () => resolve())
  if (!socket.closed) await promise
}

it('says nothing to who has no certificate, or that of a stranger', async (context) => {
  const { server, target, content } = await pair(context)
  for (const certificate of [undefined, createLaneCertificate()]) {
    const socket = await rawLane(server.port, certificate)
    socket.write(get(target))
    expect(await readRaw(socket)).toBe('')
  }
  expect(content.readers).toHaveLength(0)
})

it('speaks TLS 1.3 only', async (context) => {
  const { server, certificate } = await pair(context)
  const old = await rawLane(server.port, certificate, { maxVersion: 'TLSv1.2' })
  expect(old.getProtocol()).not.toBe('TLSv1.2')
  await isClosed(old)
  const plain = await tcp(server.port)
  plain.write('GET / HTTP/1.1\r\n\r\n')
  await isClosed(plain)
  expect((await rawLane(server.port, certificate)).getCipher()).toMatchObject({ name: 'TLS_AES_128_GCM_SHA256' })
})

it('takes up no session without seeing the certificate again', async (context) => {
  const { server, certificate, target } = await pair(context)
  const first = await rawLane(server.port, certificate)
  const sessions: Buffer[] = []
  first.on('session', (session) => sessions.push(session))
  first.write(get(target))
  await readRaw(first, 100)
  first.destroy()
  // whether the server offers any or not
  for (const session of sessions) {
    const second = await rawLane(server.port, undefined, { session })
    expect(second.isSessionReused()).toBe(false)
    second.write(get(target))
    expect(await readRaw(second)).toBe('')
  }
  expect(first.destroyed).toBe(true)
})

it('asks for each request whether the peer is still a member', async (context) => {
  const { server, members, certificate, target } = await pair(context)
  const socket = await rawLane(server.port, certificate)
  socket.write(get(target, 'range: bytes=0-0'))
  expect(await readRaw(socket, 50)).toMatch(/^HTTP\/1\.1 206 /)
  members.remove(CLIENT)
  socket.write(get(target))
  await isClosed(socket)
})

it('says nothing to a member that is banned, not even on a connection that is open', async (context) => {
  const { server, banned, certificate, target } = await pair(context)
  const before = await rawLane(server.port, certificate)
  banned.add(CLIENT)
  before.write(get(target))
  expect(await readRaw(before)).toBe('')
  const after = await rawLane(server.port, certificate)
  after.write(get(target))
  expect(await readRaw(after)).toBe('')
})

it('serves the agent that a certificate names, not whoever told it first and is banned', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  serving.members.add('thief', { fingerprint: asking.certificate.fingerprint, addresses: [] })
  serving.banned.add('thief')
  introduce(asking, serving)
  const digest = serving.content.add(CONTENT, REGISTRY)
  expect((await collect(asking.client, laneRequest(digest))).bytes.equals(CONTENT)).toBe(true)
  expect(asking.received).toEqual({ lane: CONTENT.length, stream: 0 })
})

it('lets members in while strangers hold connections open', async (context) => {
  const { server, client, content } = await pair(context, { strangers: 3, handshakeMs: 60_000 })
  const strangers = await Promise.all(Array.from({ length: 10 }, () => tcp(server.port)))
  await Promise.all(strangers.slice(0, 7).map(isClosed))
  const digest = content.add(Buffer.from('a'), REGISTRY)
  expect((await collect(client, laneRequest(digest))).bytes.toString()).toBe('a')
  for (const socket of strangers) socket.destroy()
})

it('gives up a handshake that does not go on', async (context) => {
  const { server } = await pair(context, { handshakeMs: 50 })
  const socket = await tcp(server.port)
  await isClosed(socket)
  expect(socket.bytesRead).toBe(0)
})

it.for([
  ['the end of a blob beyond its size', 416, (t: string) => get(t, 'range: bytes=0-600000')],
  ['two ranges', 400, (t: string) => get(t, 'range: bytes=0-1,4-5')],
  ['an open range', 400, (t: string) => get(t, 'range: bytes=5-')],
  ['another method', 400, (t: string) => get(t).replace('GET', 'DELETE')],
  ['a body', 400, (t: string) => `${get(t, 'content-length: 4')}abcd`],
  ['a chunked body', 400, (t: string) => get(t, 'transfer-encoding: chunked')],
  ['another path', 400, (t: string) => get(t.replace('blobs', 'tags'))],
  ['no registry', 400, (t: string) => get(t.replace(/\?.*/, ''))],
  ['another registry', 404, (t: string) => get(t.replace('5000', '5001'))],
  ['an unknown digest', 404, (t: string) => get(t.replace(/sha256:..../, 'sha256:0000'))],
] as const)('answers a request for %s with %s', async ([, status, request], context) => {
  const { server, certificate, target, content } = await pair(context)
  const socket = await rawLane(server.port, certificate)
  socket.write(request(target))
  expect(await readRaw(socket, 60)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(content.readers).toHaveLength(0)
  socket.destroy()
})

it('answers with 409 for chunks that are not verified here', async (context) => {
  const { server, certificate, content } = await pair(context)
  const digest = content.add(patternBytes(1_000_000), REGISTRY, {}, [0, 1, 3])
  const target = formatLaneTarget(laneRequest(digest))
  for (const [range, status] of [
    ['0-524287', 206],
    ['786432-999999', 206],
    ['0-524288', 409],
    ['600000-600001', 409],
  ] as const) {
    const socket = await rawLane(server.port, certificate)
    socket.write(get(target, `range: bytes=${range}`))
    expect(await readRaw(socket, 60)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    socket.destroy()
  }
  const whole = await rawLane(server.port, certificate)
  whole.write(get(target))
  expect(await readRaw(whole, 60)).toMatch(/^HTTP\/1\.1 409 /)
  whole.destroy()
})

it.for([
  ['a head that is too long', `GET / HTTP/1.1\r\nx: ${'a'.repeat(20_000)}`],
  ['a head without end', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(4_000)}`],
  ['no HTTP', `${'\u0001'.repeat(100)}\r\n\r\n`],
])('cuts a connection with %s', async ([, text], context) => {
  const { server, certificate } = await pair(context)
  const socket = await rawLane(server.port, certificate)
  socket.write(text ?? '')
  await isClosed(socket)
  expect(socket.destroyed).toBe(true)
})

it('cuts a connection on which no request is completed in time', async (context) => {
  const { server, certificate } = await pair(context, { idleMs: 100 })
  const socket = await rawLane(server.port, certificate)
  socket.write('GET / HTTP/1.1\r\n')
  const drip = setInterval(() => socket.write('a: b\r\n'), 20)
  await isClosed(socket)
  clearInterval(drip)
  expect(socket.destroyed).toBe(true)
})

it('cuts a peer that does not read, and lets go of the blob', async (context) => {
  const { server, certificate, content, sent } = await pair(context, { writeMs: 200 })
  const digest = content.add(LARGE, REGISTRY)
  const socket = await rawLane(server.port, certificate)
  socket.pause()
  socket.write(get(formatLaneTarget(laneRequest(digest))))
  await vi.waitFor(() => expect(content.readers).toHaveLength(1))
  await content.readers[0]?.closed
  expect(sent.lane).toBeLessThan(LARGE.length / 2)
})

it('cuts a peer that sends requests without waiting for answers', async (context) => {
  const { server, certificate, content } = await pair(context)
  const digest = content.add(LARGE, REGISTRY)
  const socket = await rawLane(server.port, certificate)
  socket.write(get(formatLaneTarget(laneRequest(digest))).repeat(100))
  await isClosed(socket)
  expect(content.readers.length).toBeLessThanOrEqual(2)
  await Promise.all(content.readers.map(({ closed }) => closed))
})

it('bounds the connections of a peer', async (context) => {
  const { server, certificate } = await pair(context, { connectionsPerPeer: 3 })
  const sockets = await Promise.all(Array.from({ length: 6 }, () => rawLane(server.port, certificate)))
  await vi.waitFor(() => expect(sockets.filter(({ destroyed }) => !destroyed)).toHaveLength(3))
  for (const socket of sockets) socket.destroy()
})

it.for([
  ['429, of one peer', { requestsPerPeer: 1 }, 429],
  ['503, of all peers', { requests: 1 }, 503],
] as const)('answers too many requests with %s', async ([, limits, status], context) => {
  const { server, certificate, content, client } = await pair(context, limits)
  const digest = content.add(LARGE, REGISTRY)
  const busy = await rawLane(server.port, certificate)
  busy.pause()
  busy.write(get(formatLaneTarget(laneRequest(digest))))
  await vi.waitFor(() => expect(content.readers).toHaveLength(1))
  const asked = collect(client, laneRequest(digest, 0, 1))
  await expect(asked).rejects.toThrow(
    expect.objectContaining({ code: 'PEER_BUSY', detail: { peer: 'server', status, retryAfterMs: 1_000 } }),
  )
  busy.destroy()
  await content.readers[0]?.closed
  await vi.waitFor(async () => expect(await collect(client, laneRequest(digest, 0, 1))).toBeDefined())
})

it('answers with 500 when it can not read, and cuts when it can not go on', async (context) => {
  const { content, client } = await pair(context)
  const unreadable = content.add(Buffer.alloc(2_000_000, 5), REGISTRY, {
    beforeRead: () => Promise.reject(new Error('disk')),
  })
  const torn = content.add(Buffer.alloc(2_000_000, 6), REGISTRY, {
    beforeRead: (position) => (position > 600_000 ? Promise.reject(new Error('disk')) : Promise.resolve()),
  })
  for (const digest of [unreadable, torn]) {
    await expect(collect(client, laneRequest(digest))).rejects.toThrow(
      expect.objectContaining({ code: 'PEER_UNAVAILABLE', detail: expect.objectContaining({ peer: 'server' }) }),
    )
  }
  await Promise.all(content.readers.map(({ closed }) => closed))
  expect(content.readers).toHaveLength(2)
})
