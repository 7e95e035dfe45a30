import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type LookupFunction, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Scope } from '../../src/blob/ports.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { OCI_MANIFEST } from '../../src/oci/media-type.ts'
import { OriginClient } from '../../src/origin/origin-client.ts'
import { ORIGIN_DEFAULTS } from '../../src/origin/origin-defaults.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { clientFor, noCredentials, scopeOf, silent } from '../fixtures/fault-origin-client.ts'

const name = 'team/app'
const { signal } = new AbortController()
const always = { signal }
const failure = (code: ErrorCode, facts: object = {}) => expect.objectContaining({ code, ...facts })

let origin: FaultOrigin
let closing: (() => Promise<unknown>)[]

beforeEach(async () => {
  closing = []
  origin = await FaultOrigin.start()
  origin.addManifest(name, 'v1', '{}', OCI_MANIFEST)
})

afterEach(async () => {
  for (const close of closing.toReversed()) await close()
  await origin.close()
})

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return (server.address() as AddressInfo).port
}

describe('names that resolve to forbidden addresses', () => {
  const answers: Record<string, string> = { 'evil.example': '169.254.169.254', 'good.example': '127.0.0.1' }
  const lookup: LookupFunction = (host, _, callback) =>
    callback(null, [{ address: answers[host] ?? '127.0.0.1', family: 4 }])
  const port = () => origin.registry.split(':')[1]

  function clientOf(registries: string[]): OriginClient {
    const settings = new Map(registries.map((one) => [one, { plainHttp: true }]))
    const client = new OriginClient(
      { log: silent, clock: Date.now, credentials: noCredentials, lookup },
      {
        ...ORIGIN_DEFAULTS,
        registries: settings,
        allow: ['*'],
        userAgent: 'shoal/test',
        instanceId: 'x',
        rateBytesPerSecond: undefined,
        identityKey: undefined,
      },
    )
    closing.push(() => client.close())
    return client
  }

  const scope = (registry: string): Scope => ({ repository: { registry, name }, authorization: undefined })

  it('are no registries', async () => {
    const resolving = clientOf([]).resolveTag(scope('evil.example'), 'v1', always)
    await expect(resolving).rejects.toEqual(failure('ADDRESS_NOT_ALLOWED'))
  })

  it('are no targets of a redirect, and no realms', async () => {
    const client = clientOf([origin.registry])
    origin.inject({ fault: { kind: 'redirect', to: 'http://evil.example/' } })
    await expect(client.resolveTag(scope(origin.registry), 'v1', always)).rejects.toEqual(
      failure('ADDRESS_NOT_ALLOWED'),
    )
    origin.inject({ fault: { kind: 'challenge', challenges: ['Bearer realm="http://evil.example/token"'] } })
    await expect(client.resolveTag(scope(origin.registry), 'v1', always)).rejects.toEqual(
      failure('ADDRESS_NOT_ALLOWED'),
    )
  })

  it('may be redirected to when they resolve to an allowed one', async () => {
    const client = clientOf([origin.registry])
    origin.inject({ fault: { kind: 'redirect', to: `http://good.example:${port()}/v2/${name}/manifests/v1` } })
    expect(await client.resolveTag(scope(origin.registry), 'v1', always)).toMatchObject({ size: 2 })
  })
})

describe('a proxy', () => {
  /** Forwards absolute-form requests and CONNECT, and writes down what it was asked. */
  async function startProxy(): Promise<{ url: string; asked: string[] }> {
    const asked: string[] = []
    const server = createServer((incoming: IncomingMessage, outgoing) => {
      asked.push(`${incoming.method} ${incoming.url}`)
      const { method, headers } = incoming
      const forward = request(incoming.url ?? '', { method: method ?? 'GET', headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      })
      forward.on('error', () => outgoing.destroy())
      forward.end()
    })
    server.on('connect', (incoming: IncomingMessage, socket: Socket) => {
      asked.push(`CONNECT ${incoming.url}`)
      const target = connect(Number(incoming.url?.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        target.pipe(socket).pipe(target)
      })
      for (const one of [target, socket]) {
        one.on('error', () => {})
        one.on('close', () => [target, socket].forEach((other) => other.destroy()))
      }
    })
    return { url: `http://127.0.0.1:${await listen(server)}`, asked }
  }

  // Loopback goes around proxies, but a name for it in the test's own way of resolving does not.
  const registry = (of: FaultOrigin): string => `registry.example:${of.registry.split(':')[1]}`
  const lookup: LookupFunction = (_, __, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])

  it('is used for http and https registries, and not for what NO_PROXY or loopback names', async () => {
    const proxy = await startProxy()
    await using secure = await FaultOrigin.start({ tls: true })
    secure.addManifest(name, 'v1', '{}', OCI_MANIFEST)
    const settings = { proxy: { http: proxy.url.replace('http://', ''), https: proxy.url, no: 'direct.example' } }
    const client = clientFor([origin, secure], { init: settings })
    closing.push(() => client.close())
    await client.resolveTag(scopeOf(origin), 'v1', always)
    await client.resolveTag(scopeOf(secure), 'v1', always)
    expect(proxy.asked).toEqual([])

    const named = new OriginClient(
      { log: silent, clock: Date.now, credentials: noCredentials, lookup },
      {
        ...ORIGIN_DEFAULTS,
        ...settings,
        registries: new Map([
          [`direct.example:${origin.registry.split(':')[1]}`, { plainHttp: true }],
          [registry(origin), { plainHttp: true }],
          [registry(secure), { ca: secure.ca }],
        ]),
        allow: ['*'],
        userAgent: 'shoal/test',
        instanceId: 'x',
        rateBytesPerSecond: undefined,
        identityKey: undefined,
        backoff: { baseMs: 1, factor: 1 },
      },
    )
    closing.push(() => named.close())
    const ask = (host: string) =>
      named.resolveTag({ repository: { registry: host, name }, authorization: undefined }, 'v1', always)
    // The proxy does not know the name, and the certificate is not for it: what counts is who was asked.
    await expect(ask(registry(origin))).rejects.toEqual(failure('ORIGIN_UNAVAILABLE'))
    expect(new Set(proxy.asked)).toEqual(new Set([`HEAD http://${registry(origin)}/v2/${name}/manifests/v1`]))
    await expect(ask(registry(secure))).rejects.toEqual(
      failure('ORIGIN_UNAVAILABLE', { cause: expect.objectContaining({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }) }),
    )
    expect(proxy.asked).toContain(`CONNECT ${registry(secure)}`)
  })
})

describe('peers that are no registries', () => {
  async function against(answer: (socket: Socket) => void): Promise<unknown> {
    const server = createTcpServer((socket) => {
      socket.once('data', () => answer(socket))
    })
    const registry = `127.0.0.1:${await listen(server)}`
    const client = clientFor([], {
      init: { registries: new Map([[registry, { plainHttp: true }]]), firstByteMs: 200, stallMs: 200 },
    })
    closing.push(() => client.close())
    const scope = { repository: { registry, name }, authorization: undefined }
    return await client.resolveTag(scope, 'v1', always).catch((error: unknown) => error)
  }

  it.each<[string, string, ErrorCode]>([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'ORIGIN_UNAVAILABLE'],
    ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`, 'ORIGIN_MISBEHAVED'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n', 'ORIGIN_UNAVAILABLE'],
    [
      'an upgrade',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      'ORIGIN_UNAVAILABLE',
    ],
  ])('that speak %s do no harm', async (_, text, code) => {
    expect(await against((socket) => socket.write(text))).toEqual(failure(code))
  })

  it('that take requests and say nothing are waited for in full once, and then for less and not again', async () => {
    let asked = 0
    const server = createTcpServer((socket) => {
      asked += 1
      socket.resume()
    })
    const registry = `127.0.0.1:${await listen(server)}`
    const client = clientFor([], {
      init: { registries: new Map([[registry, { plainHttp: true }]]), firstByteMs: 1_200, silentMs: 100 },
    })
    closing.push(() => client.close())
    const scope = { repository: { registry, name }, authorization: undefined }
    const silence = failure('ORIGIN_UNAVAILABLE', { message: expect.stringContaining('nor did it just before') })
    await expect(client.resolveTag(scope, 'v1', always)).rejects.toEqual(silence)
    expect(asked).toBe(2)
    await expect(client.resolveTag(scope, 'v1', always)).rejects.toEqual(silence)
    expect(asked).toBe(3)
  })

  it('that trickle their headers are given up', async () => {
    const timers: NodeJS.Timeout[] = []
    const error = await against((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      timers.push(setInterval(() => socket.write('x: y\r\n'), 50))
    })
    for (const timer of timers) clearInterval(timer)
    expect(error).toEqual(failure('ORIGIN_UNAVAILABLE'))
  })

  it('that trickle a short body are given up', async () => {
    const timers: NodeJS.Timeout[] = []
    const error = await against((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
      timers.push(setInterval(() => socket.write('x'), 50))
    })
    for (const timer of timers) clearInterval(timer)
    // The HEAD gets no further than its headers, the GET is the one that trickles.
    expect(error).toEqual(failure('ORIGIN_UNAVAILABLE'))
  })
})

describe('a body and the circuit breaker', () => {
  it('outlives an outage that others have noticed too', async () => {
    const content = Buffer.alloc(600_000, 9)
    const digest = origin.addBlob(content)
    origin.inject({ fault: { kind: 'hang-body', after: 300_000 }, match: { path: /blobs/ } })
    const client = clientFor([origin], {
      init: { stallMs: 10_000, outageMs: 150, resumeBackoff: { baseMs: 20, factor: 5 } },
    })
    closing.push(() => client.close())
    const { bytes } = await client.blobSource(scopeOf(origin), digest).open({ start: 0, end: undefined }, always)
    let length = 0
    for await (const part of bytes) {
      length += part.length
      if (length !== 300_000) continue
      await origin.goOffline()
      await expect(client.resolveTag(scopeOf(origin), 'v1', always)).rejects.toEqual(failure('ORIGIN_UNAVAILABLE'))
      await origin.goOnline()
    }
    expect(length).toBe(content.length)
  })
})
