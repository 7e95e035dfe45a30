import { once } from 'node:events'
import { Agent, get, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { expect, it, vi } from 'vitest'
import { OCI_MANIFEST } from '../../src/oci/media-type.ts'
import { startFacade } from '../fakes/facade-fixture.ts'
import { FakeBlobReader, type FakeBlobReaderInit, patternBytes, sha256Of } from '../fakes/fake-blob-reader.ts'
import { FakePullServices } from '../fakes/fake-pull-services.ts'
import { ask, sendRaw } from '../fakes/raw-http.ts'

const MIB = 1024 * 1024
// more than the buffers of both sockets take
const LARGE = patternBytes(32 * MIB)
const PATH = `/v2/a/blobs/${sha256Of(LARGE)}`
const BYTES = Buffer.from('{}')

function servicesOf(init: FakeBlobReaderInit = {}, bytes = LARGE): FakePullServices {
  return new FakePullServices({
    blob: () => new FakeBlobReader(bytes, init),
    manifest: { digest: sha256Of(BYTES), mediaType: OCI_MANIFEST, size: BYTES.length, bytes: BYTES, stale: undefined },
    list: { contentType: undefined, link: undefined, filtersApplied: undefined, body: BYTES },
  })
}

/** Waits for a reader to be opened. */
async function openedReader(services: FakePullServices): Promise<FakeBlobReader> {
  return (await vi.waitFor(() => services.opened[0] ?? Promise.reject(new Error('not yet')))) as FakeBlobReader
}

it('answers a TLS ClientHello with a plain-text HTTP 400, so that Docker goes on with HTTP', async () => {
  await using facade = await startFacade(servicesOf())
  const hello = Buffer.from('16030100c8010000c40303aabbccddeeff', 'hex')
  expect(await sendRaw(facade.port, hello)).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
})

it('listens on both loopback addresses with one port, and says what was bound', async () => {
  await using facade = await startFacade(servicesOf())
  const [first, second] = facade.server.addresses
  expect(first?.host).toBe('127.0.0.1')
  expect((await ask(facade.port, '/v2/')).status).toBe(200)
  if (second === undefined) return
  expect(second).toEqual({ host: '::1', port: facade.port })
  expect((await ask(facade.port, '/v2/', { host: '::1' })).status).toBe(200)
})

it('fails to start on a port that is taken', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const { HttpListener } = await import('../../src/facade/http-listener.ts')
  const { FakeLogger } = await import('../fakes/fake-logger.ts')
  const listener = new HttpListener(
    { handler: () => {}, log: new FakeLogger() },
    { host: '127.0.0.1', port, idleMs: 0 },
  )
  await expect(listener.start()).rejects.toMatchObject({ code: 'EADDRINUSE' })
  other.close()
})

it('stops reading and closes the blob at once when the client leaves', async () => {
  const services = servicesOf({}, LARGE)
  await using facade = await startFacade(services)
  const sent = get({ port: facade.port, host: '127.0.0.1', path: PATH, agent: false })
  sent.on('error', () => {})
  const [response] = await once(sent, 'response')
  response.on('error', () => {})
  await once(response, 'data')
  response.destroy()
  const reader = await openedReader(services)
  await reader.closed
  expect(reader.closeCount).toBe(1)
  expect(reader.reads).toBeLessThan(LARGE.length / (64 * 1024))
  await vi.waitFor(() => expect(facade.answers).toEqual(['blob left']))
})

it('aborts the read that a client waited for when it leaves', async () => {
  const aborted = Promise.withResolvers<void>()
  const services = servicesOf({
    beforeRead: (position, signal) => {
      if (position === 0) return Promise.resolve()
      signal.addEventListener('abort', () => aborted.resolve())
      return new Promise(() => {})
    },
  })
  await using facade = await startFacade(services)
  const sent = get({ port: facade.port, host: '127.0.0.1', path: PATH, agent: false })
  sent.on('error', () => {})
  const [response] = await once(sent, 'response')
  response.on('error', () => {})
  response.destroy()
  await aborted.promise
  const reader = await openedReader(services)
  await reader.closed
  expect(reader.closeCount).toBe(1)
})

it('reads no further than its buffers while a client does not read, and cuts it after the idle time', async () => {
  const services = servicesOf()
  await using facade = await startFacade(services, { idleMs: 300 })
  const socket = connect(facade.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  socket.write(`GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const reader = await openedReader(services)
  await reader.closed
  expect(reader.reads).toBeLessThan(LARGE.length / (64 * 1024))
  expect(facade.sentBytes).toBeLessThan(LARGE.length)
  socket.destroy()
})

it('starts nothing for a request that waits behind another on its connection, and forgets it when that goes', async () => {
  const services = servicesOf()
  await using facade = await startFacade(services)
  const socket = connect(facade.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  const ask = `GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  socket.write(ask + ask)
  const reader = await openedReader(services)
  await vi.waitFor(() => expect(facade.sentBytes).toBeGreaterThan(0))
  socket.destroy()
  await reader.closed
  await facade.server.stop({ deadlineMs: 0 })
  expect(services.opened.length).toBe(1)
})

it('sends many bodies at once without mixing them up', async () => {
  const small = patternBytes(3 * MIB)
  const services = servicesOf({ readBytes: 50_000 }, small)
  await using facade = await startFacade(services)
  const path = `/v2/a/blobs/${sha256Of(small)}`
  const starts = Array.from({ length: 24 }, (_, i) => i * 100_003)
  const answers = await Promise.all(
    starts.map((start) => ask(facade.port, path, { headers: { range: `bytes=${start}-` } })),
  )
  for (const [i, answer] of answers.entries()) expect(answer.body.equals(small.subarray(starts[i]))).toBe(true)
})

it('keeps a connection for further requests, also after a body and after an error', async () => {
  const services = servicesOf({}, patternBytes(100_000))
  await using facade = await startFacade(services)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ports = new Set<unknown>()
  for (const path of [`/v2/a/blobs/${sha256Of(BYTES)}`, '/v2/a/blobs/bad', '/v2/', '/v2/a/manifests/v1']) {
    const sent = request({ port: facade.port, host: '127.0.0.1', path, agent }).end()
    const [response] = await once(sent, 'response')
    ports.add(sent.socket?.localPort)
    response.resume()
    await once(response, 'end')
  }
  expect(ports.size).toBe(1)
  agent.destroy()
})

it('lets a body that is under way finish when it stops, and accepts nothing more', async () => {
  const gate = Promise.withResolvers<void>()
  const small = patternBytes(200_000)
  const services = servicesOf({ beforeRead: (position) => (position === 0 ? Promise.resolve() : gate.promise) }, small)
  const facade = await startFacade(services)
  const { port } = facade
  const idle = connect(port, '127.0.0.1')
  await once(idle, 'connect')
  const answer = ask(port, `/v2/a/blobs/${sha256Of(small)}`)
  await openedReader(services)
  const stopped = facade.server.stop({ deadlineMs: 20_000 })
  await once(idle.resume(), 'close')
  await expect(ask(port, '/v2/')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  gate.resolve()
  expect((await answer).body.equals(small)).toBe(true)
  await stopped
})

it('cuts what is not finished by the deadline when it stops', async () => {
  const services = servicesOf({
    beforeRead: (position) => (position === 0 ? Promise.resolve() : new Promise(() => {})),
  })
  const facade = await startFacade(services)
  const answer = ask(facade.port, PATH)
  const reader = await openedReader(services)
  await facade.server.stop({ deadlineMs: 50 })
  expect((await answer).complete).toBe(false)
  await reader.closed
})

it('answers requests that were sent without waiting, in order', async () => {
  await using facade = await startFacade(servicesOf({}, patternBytes(100_000)))
  const ranges = Array.from({ length: 20 }, (_, i) => i)
  const requests = ranges.map((i) => `GET ${PATH} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=${i}-${i}\r\n\r\n`)
  const answers = await sendRaw(
    facade.port,
    `${requests.join('')}GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
  )
  const found = [...answers.matchAll(/Content-Range: bytes (\d+)-/g)].map(([, start]) => Number(start))
  expect(found).toEqual(ranges)
  expect(answers.endsWith('{}')).toBe(true)
})

it('ends a connection after the answer when a request comes on it while it stops', async () => {
  const gate = Promise.withResolvers<void>()
  const services = servicesOf({ beforeRead: () => gate.promise }, patternBytes(10))
  const facade = await startFacade(services)
  const answers = sendRaw(
    facade.port,
    `GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  )
  await openedReader(services)
  const stopped = facade.server.stop({ deadlineMs: 20_000 })
  gate.resolve()
  expect((await answers).match(/HTTP\/1.1 200 OK/g)?.length).toBe(2)
  await stopped
})

it.each(['GET * HTTP/1.1', 'GET http://127.0.0.1/v2/ HTTP/1.1', 'GET //v2/ HTTP/1.1'])(
  'answers 404 to the request target of %s',
  async (line) => {
    await using facade = await startFacade(servicesOf())
    expect(await sendRaw(facade.port, `${line}\r\nHost: localhost\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 404 /,
    )
  },
)

it('answers a push at once, without taking its body', async () => {
  await using facade = await startFacade(servicesOf())
  const head =
    'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n'
  const socket = connect(facade.port, '127.0.0.1')
  socket.write(`${head}{`)
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1\.1 405 /)
  socket.destroy()
})
