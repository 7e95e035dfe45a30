import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AdminServer } from '../../src/facade/admin-server.ts'
import type { PageFeedInit } from '../../src/facade/page-feed.ts'
import { StatusPage } from '../../src/facade/status-page.ts'
import { FakeAdminBackend, STATUS } from '../fakes/fake-admin-backend.ts'
import { FakeLogger } from '../fakes/fake-logger.ts'
import { ask, sendRaw } from '../fakes/raw-http.ts'

const INIT: PageFeedInit = { tickMs: 20, heartbeatMs: 60_000, maxStreams: 4, stallMs: 300 }
const PEERS = 60
const LONG_ADDRESS = 'x'.repeat(2_000)

let backend: FakeAdminBackend
let page: StatusPage
let server: AdminServer
let port: number
const opened: ClientRequest[] = []

beforeEach(async () => {
  backend = new FakeAdminBackend()
  const log = new FakeLogger()
  page = new StatusPage({ backend, pulls: { recent: () => [] }, clock: Date.now, log }, INIT)
  await page.start()
  const metrics = { contentType: 'text/plain', text: async () => '' }
  server = new AdminServer({ backend, metrics, page, log }, { host: '127.0.0.1', port: 0 })
  await server.start()
  port = server.addresses[0]?.port ?? 0
})
afterEach(async () => {
  for (const sent of opened.splice(0)) sent.destroy()
  page.stop()
  await server.stop({ deadlineMs: 0 })
})

async function openEvents(): Promise<IncomingMessage> {
  const sent = request({ host: '127.0.0.1', port, path: '/api/events', agent: false }).end()
  sent.on('error', () => {})
  opened.push(sent)
  const [response] = await once(sent, 'response')
  response.on('error', () => {})
  return response as IncomingMessage
}

/** Resolves with what came when it matches. */
async function until(response: IncomingMessage, pattern: RegExp): Promise<string> {
  let text = ''
  for await (const part of response.iterator({ destroyOnReturn: false })) {
    text += String(part)
    if (pattern.test(text)) return text
  }
  throw new Error(`ended with ${text.slice(-200)}`)
}

describe('the files of the page', () => {
  it('come with a policy that lets nothing else in', async () => {
    const { status, headers, body } = await ask(port, '/')
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    })
    expect(body.toString()).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)|style="|onclick/)
  })

  it('are all there, and are not sent again to who has them', async () => {
    const html = (await ask(port, '/')).body.toString()
    const paths = [...page.assets.files.keys()]
    for (const [, path = ''] of html.matchAll(/(?:href|src)="(page\/[^"]+)"/g)) expect(paths).toContain(`/${path}`)
    for (const path of paths) {
      const first = await ask(port, path)
      expect([first.status, first.headers['x-content-type-options']]).toEqual([200, 'nosniff'])
      const again = await ask(port, path, { headers: { 'if-none-match': first.headers.etag } })
      expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, first.headers.etag])
      expect((await ask(port, path, { method: 'HEAD' })).headers['content-length']).toBe(String(first.body.length))
    }
  })

  it('are small', () => {
    const bytes = [...page.assets.files.values()].reduce((sum, { body }) => sum + body.length, 0)
    expect(bytes).toBeLessThan(64 * 1024)
  })

  it.each([
    '/page/',
    '/page/../status-page.ts',
    '/page/%2e%2e/status-page.ts',
    '/page//etc/passwd',
    '/page/index.html',
  ])('are the only ones: %s', async (path) => {
    expect(await sendRaw(port, `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 404/,
    )
  })
})

describe('events', () => {
  it('tell everything first, and then what has changed', async () => {
    const response = await openEvents()
    expect(response.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    expect(await until(response, /\n\n$/)).toMatch(/^retry: \d+\n\n/)
    backend.current = { ...STATUS, traffic: { ...STATUS.traffic, fromPeers: 77 } }
    const change = await until(response, /event: change\ndata: .*\n\n/)
    expect(change).toContain('"fromPeers":77')
    expect(change).not.toContain('"store"')
  })

  it('are not opened by HEAD', async () => {
    expect((await ask(port, '/api/events', { method: 'HEAD' })).status).toBe(404)
    expect(page.feed.streamCount).toBe(0)
  })

  it('are refused when too many are open, and are had again when one leaves', async () => {
    const responses = []
    for (let count = 0; count < INIT.maxStreams; count++) responses.push(await openEvents())
    const refused = await ask(port, '/api/events')
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '10'])
    responses[0]?.destroy()
    await expect.poll(() => page.feed.streamCount).toBe(INIT.maxStreams - 1)
    expect((await openEvents()).statusCode).toBe(200)
  })

  it('drop a reader that takes nothing, whose backlog stays small', async () => {
    const socket = connect(port, '127.0.0.1').pause()
    socket.on('error', () => {})
    socket.write('GET /api/events HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await expect.poll(() => page.feed.streamCount).toBe(1)
    let count = 0
    const change = setInterval(() => {
      count += 1
      const peer = { address: LONG_ADDRESS, zone: '', version: '1', isConnected: true, sentBytes: 0, faults: 0 }
      const peers = Array.from({ length: PEERS }, (_, id) => ({ ...peer, id: `p${id}`, receivedBytes: count }))
      backend.known = { peers, bans: [] }
    }, 5)
    const good = await openEvents()
    let seen = 0
    good.on('data', (part: Buffer) => {
      seen += part.length
    })
    await expect.poll(() => page.feed.streamCount, { timeout: 10_000, interval: 10 }).toBe(1)
    clearInterval(change)
    expect(seen).toBeGreaterThan(1024 * 1024)
    socket.destroy()
  })

  it('end with the agent', async () => {
    const response = await openEvents()
    response.resume()
    page.stop()
    await expect.poll(() => response.closed).toBe(true)
    expect(page.feed.streamCount).toBe(0)
  })
})
