import { createServer } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { streamPair } from '@libp2p/utils'
import { expect, it, vi } from 'vitest'
import { ShoalError } from '../../src/errors.ts'
import { createLaneCertificate } from '../../src/swarm/lane/lane-certificate.ts'
import { LANE_STREAM_PROTOCOL } from '../../src/swarm/lane/lane-protocol.ts'
import { patternBytes } from '../fakes/fake-blob-reader.ts'
import { CLIENT, introduce, REGISTRY, SERVER, startClient, startServer } from '../fixtures/lane-pair.ts'
import { ANY_DIGEST, collect, laneRequest } from '../fixtures/lane-requests.ts'
import { scriptedLane } from '../fixtures/scripted-lane.ts'

const RANGE = laneRequest(ANY_DIGEST, 10, 110)
const HEAD = 'HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 10-109/500\r\ncontent-length: 100\r\n\r\n'
const SHORT = { firstByteMs: 150, stallMs: 150 }

type Script = (socket: TLSSocket) => void

/** Writes for as long as the other end takes it. @returns how much was written so far */
function flood(socket: TLSSocket, piece: Buffer): { bytes: number } {
  const written = { bytes: 0 }
  const more = (): void => {
    while (!socket.destroyed && written.bytes < 256 * 1024 * 1024) {
      written.bytes += piece.length
      if (!socket.write(piece)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
  return written
}

const SCRIPTS: [title: string, code: string, script: Script][] = [
  ['closes without an answer', 'PEER_UNAVAILABLE', (socket) => socket.destroy()],
  ['answers nothing', 'PEER_UNAVAILABLE', () => {}],
  ['stalls in the middle of the head', 'PEER_UNAVAILABLE', (socket) => socket.write(HEAD.slice(0, 40))],
  ['stalls after the head', 'PEER_UNAVAILABLE', (socket) => socket.write(HEAD)],
  ['stalls in the middle of the body', 'PEER_UNAVAILABLE', (socket) => socket.write(`${HEAD}${'a'.repeat(50)}`)],
  ['ends in the middle of the body', 'PEER_UNAVAILABLE', (socket) => socket.end(`${HEAD}${'a'.repeat(99)}`)],
  ['ends in the middle of the head', 'PEER_UNAVAILABLE', (socket) => socket.end(HEAD.slice(0, 40))],
  ['sends more than it announced', 'PEER_MISBEHAVED', (socket) => socket.write(`${HEAD}${'a'.repeat(101)}`)],
  ['sends no HTTP', 'PEER_MISBEHAVED', (socket) => socket.write('\u0000'.repeat(100).concat('\r\n\r\n'))],
  ['sends a head without end', 'PEER_MISBEHAVED', (socket) => flood(socket, Buffer.alloc(65_536, 'a: b\r\n'))],
  ['sends an interim answer', 'PEER_MISBEHAVED', (socket) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${HEAD}`)],
  ['sends elsewhere', 'PEER_MISBEHAVED', (socket) => socket.write('HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n')],
  ['sends another range', 'PEER_MISBEHAVED', (socket) => socket.write(HEAD.replace('10-109', '11-110'))],
  ['sends all of it', 'PEER_MISBEHAVED', (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n')],
  ['has nothing', 'PEER_LACKS', (socket) => socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')],
  ['lacks chunks', 'PEER_LACKS', (socket) => socket.write('HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n')],
  [
    'says so at length',
    'PEER_LACKS',
    (socket) => socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nno'),
  ],
  [
    'is busy',
    'PEER_BUSY',
    (socket) => socket.write('HTTP/1.1 429 Busy\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n'),
  ],
]

it.for(SCRIPTS)('names a peer that %s: %s', async ([, code, script], context) => {
  const scripted = await scriptedLane(context, script)
  const { client, members } = startClient(context, SHORT)
  members.add(SERVER, scripted.lane)
  const error = await collect(client, RANGE).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ShoalError)
  expect(error).toMatchObject({ code, detail: { peer: SERVER } })
})

it('says that a peer has stalled', async (context) => {
  const scripted = await scriptedLane(context, (socket) => socket.write(HEAD))
  const { client, members } = startClient(context, SHORT)
  members.add(SERVER, scripted.lane)
  const stalled = expect.objectContaining({ detail: { peer: SERVER, stalled: true } })
  await expect(collect(client, RANGE)).rejects.toThrow(stalled)
  await vi.waitFor(() => expect(scripted.sockets.size).toBe(0))
})

it('takes a body that only drips for stalled', async (context) => {
  const timers: NodeJS.Timeout[] = []
  const scripted = await scriptedLane(context, (socket) => {
    socket.write(HEAD)
    timers.push(setInterval(() => socket.write('a'), 40))
  })
  const { client, members } = startClient(context, SHORT)
  members.add(SERVER, scripted.lane)
  await expect(collect(client, RANGE)).rejects.toThrow(expect.objectContaining({ code: 'PEER_UNAVAILABLE' }))
  for (const timer of timers) clearInterval(timer)
})

it('waits for a reader that is slower than the deadline for the peer', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context, { stallMs: 60 })
  introduce(asking, serving)
  const content = patternBytes(8_000_000)
  const digest = serving.content.add(content, REGISTRY)
  const { bytes } = await asking.client.fetch(SERVER, laneRequest(digest), { signal: new AbortController().signal })
  const iterator = bytes[Symbol.asyncIterator]()
  const first = await iterator.next()
  const begun = performance.now()
  await vi.waitFor(() => expect(performance.now() - begun).toBeGreaterThan(200))
  const parts = first.done === true ? [] : [first.value]
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) parts.push(next.value)
  expect(Buffer.concat(parts).equals(content)).toBe(true)
})

it('holds back a peer that sends faster than is read', async (context) => {
  let written = { bytes: 0 }
  const scripted = await scriptedLane(context, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n')
    written = flood(socket, Buffer.alloc(65_536))
  })
  const { client, members } = startClient(context)
  members.add(SERVER, scripted.lane)
  const { bytes } = await client.fetch(SERVER, laneRequest(ANY_DIGEST), { signal: new AbortController().signal })
  const iterator = bytes[Symbol.asyncIterator]()
  await iterator.next()
  // what the kernels of both ends hold comes to rest
  let before = -1
  await vi.waitFor(() => {
    const now = written.bytes
    const isAtRest = now === before
    before = now
    expect(isAtRest).toBe(true)
  })
  expect(written.bytes).toBeLessThan(64 * 1024 * 1024)
  await iterator.return?.()
})

it('closes a connection on which a peer speaks unasked', async (context) => {
  const scripted = await scriptedLane(context, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na')
  })
  const { client, members } = startClient(context)
  members.add(SERVER, scripted.lane)
  await collect(client, laneRequest(ANY_DIGEST))
  for (const socket of scripted.sockets) socket.write(HEAD)
  await vi.waitFor(() => expect(scripted.sockets.size).toBe(0))
  await collect(client, laneRequest(ANY_DIGEST))
  expect(scripted.connections).toBe(2)
})

it('closes connections that nobody uses', async (context) => {
  const scripted = await scriptedLane(context, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na')
  })
  const { client, members } = startClient(context, { idleMs: 50 })
  members.add(SERVER, scripted.lane)
  await collect(client, laneRequest(ANY_DIGEST))
  expect(scripted.sockets.size).toBe(1)
  await vi.waitFor(() => expect(scripted.sockets.size).toBe(0))
})

it('asks nothing of who has the certificate of another', async (context) => {
  const scripted = await scriptedLane(context, (socket) => socket.write(`${HEAD}${'a'.repeat(100)}`))
  const { client, members } = startClient(context)
  members.add(SERVER, { ...scripted.lane, fingerprint: createLaneCertificate().fingerprint })
  await expect(collect(client, RANGE)).rejects.toThrow(expect.objectContaining({ code: 'PEER_UNAVAILABLE' }))
  expect(scripted.requests).toHaveLength(0)
  expect(members.streamsAsked).toBe(1)
})

it('turns to a stream when the port does not speak, and tries the next address before', async (context) => {
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve)
  })
  context.onTestFinished(() => void silent.close())
  const { port } = silent.address() as { port: number }
  const serving = await startServer(context)
  const asking = startClient(context, { connectMs: 200, handshakeMs: 200 })
  introduce(asking, serving)
  const digest = serving.content.add(Buffer.from('a'), REGISTRY)
  const dead = { host: '127.0.0.1', port }
  const addresses = [dead, { host: '127.0.0.1', port: serving.server.port }]
  asking.members.add(SERVER, { fingerprint: serving.certificate.fingerprint, addresses })
  expect((await collect(asking.client, laneRequest(digest))).bytes.toString()).toBe('a')
  expect(asking.members.streamsAsked).toBe(0)
  asking.client.drop(SERVER)
  asking.members.add(SERVER, { fingerprint: serving.certificate.fingerprint, addresses: [dead] })
  await expect(collect(asking.client, laneRequest(digest))).rejects.toThrow(
    expect.objectContaining({ code: 'PEER_UNAVAILABLE', detail: { peer: SERVER } }),
  )
  expect(asking.members.streamsAsked).toBe(1)
})

it('goes back to the port when it answers again, and waits for it at no request', async (context) => {
  let now = 1_000
  const serving = await startServer(context)
  const asking = startClient(context, {}, () => now)
  introduce(asking, serving)
  const good = asking.members.connected.get(SERVER)?.lane
  const dead = { fingerprint: serving.certificate.fingerprint, addresses: [{ host: '127.0.0.1', port: 1 }] }
  const self = asking.members.add(SERVER, dead)
  asking.members.streams = async () => {
    const [ours, theirs] = await streamPair()
    serving.members.handlers.get(LANE_STREAM_PROTOCOL)?.(theirs, { ...self, id: CLIENT })
    return ours
  }
  const digest = serving.content.add(Buffer.from('abc'), REGISTRY)
  await collect(asking.client, laneRequest(digest))
  expect(asking.received).toEqual({ lane: 0, stream: 3 })
  asking.members.add(SERVER, good)
  now += 999
  await collect(asking.client, laneRequest(digest))
  expect(asking.received).toEqual({ lane: 0, stream: 6 })
  now += 1
  await collect(asking.client, laneRequest(digest))
  expect(asking.received).toEqual({ lane: 0, stream: 9 })
  await vi.waitFor(async () => {
    await collect(asking.client, laneRequest(digest))
    expect(asking.received.lane).toBeGreaterThan(0)
  })
  const { stream } = asking.received
  await collect(asking.client, laneRequest(digest))
  expect(asking.received.stream).toBe(stream)
})

it('turns to a stream when the port closes what it accepted', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const [client] = serving.members.connected.values()
  // the serving side does not know this certificate: the peer was introduced with another one
  serving.members.remove(CLIENT)
  asking.members.streams = async () => {
    const [ours, theirs] = await streamPair()
    if (client !== undefined) serving.members.handlers.get(LANE_STREAM_PROTOCOL)?.(theirs, client)
    return ours
  }
  const digest = serving.content.add(Buffer.from('abc'), REGISTRY)
  expect((await collect(asking.client, laneRequest(digest))).bytes.toString()).toBe('abc')
  expect(asking.received).toEqual({ lane: 0, stream: 3 })
})

it('gives up all that wait for a connection which no one can open', async (context) => {
  const { client, members } = startClient(context)
  members.add(SERVER, undefined)
  const all = await Promise.allSettled(Array.from({ length: 50 }, () => collect(client, RANGE)))
  for (const one of all) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'PEER_UNAVAILABLE' } })
  expect(members.streamsAsked).toBeLessThanOrEqual(8)
  await expect(collect(client, RANGE, { peer: 'nobody' })).rejects.toThrow(
    expect.objectContaining({ code: 'PEER_UNAVAILABLE', detail: { peer: 'nobody' } }),
  )
})

it('lets those go first who still wait when one of them leaves', async (context) => {
  const answers: (() => void)[] = []
  const scripted = await scriptedLane(context, (socket) => {
    answers.push(() => socket.write(`${HEAD}${'a'.repeat(100)}`))
  })
  const { client, members } = startClient(context, { connectionsPerPeer: 1, firstByteMs: 5_000 })
  members.add(SERVER, scripted.lane)
  const first = collect(client, RANGE)
  await vi.waitFor(() => expect(answers).toHaveLength(1))
  const stop = new AbortController()
  const second = collect(client, RANGE, { signal: stop.signal })
  const third = collect(client, RANGE)
  stop.abort()
  await expect(second).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }))
  answers[0]?.()
  await first
  await vi.waitFor(() => expect(answers).toHaveLength(2))
  answers[1]?.()
  expect((await third).bytes).toHaveLength(100)
})
