import { once } from 'node:events'
import { request } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AdminServer } from '../../src/facade/admin-server.ts'
import { FakeAdminBackend, STATUS } from '../fakes/fake-admin-backend.ts'
import { FakeLogger } from '../fakes/fake-logger.ts'
import { ask } from '../fakes/raw-http.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const backend = new FakeAdminBackend()
const log = new FakeLogger()
const metrics = { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' }
const server = new AdminServer({ backend, metrics, log }, { host: '127.0.0.1', port: 0 })
let port = 0

beforeAll(async () => {
  await server.start()
  port = server.addresses[0]?.port ?? 0
})
afterAll(() => server.stop({ deadlineMs: 0 }))
beforeEach(() => {
  backend.ready = true
  backend.held = [{ digest: DIGEST, size: 5, storedAt: 1, usedAt: 2, pinned: false }]
  backend.removed.length = 0
  log.lines.length = 0
})

it('is healthy as soon as it answers, and ready when the agent is', async () => {
  expect((await ask(port, '/healthz')).status).toBe(200)
  expect((await ask(port, '/readyz')).status).toBe(200)
  backend.ready = false
  expect((await ask(port, '/healthz')).status).toBe(200)
  expect((await ask(port, '/readyz')).status).toBe(503)
})

it('is healthy and ready under any host name, since probes use many', async () => {
  for (const path of ['/healthz', '/readyz'])
    expect((await ask(port, path, { headers: { host: 'node-7.cluster.local' } })).status).toBe(200)
})

it('gives the metrics under any address', async () => {
  const answer = await ask(port, '/metrics', { headers: { host: '10.0.0.7:5053' } })
  expect([answer.status, answer.headers['content-type'], answer.body.toString()]).toEqual([
    200,
    metrics.contentType,
    'up 1\n',
  ])
})

it('gives status, blobs and peers', async () => {
  expect(JSON.parse((await ask(port, '/api/status')).body.toString())).toEqual(STATUS)
  expect(JSON.parse((await ask(port, '/api/blobs')).body.toString())).toEqual({ blobs: backend.held })
  expect(JSON.parse((await ask(port, '/api/peers')).body.toString())).toEqual({ peers: [], bans: [] })
})

it('removes a blob, and says when there is none or the digest is malformed', async () => {
  const remove = (digest: string) => ask(port, `/api/blobs/${digest}`, { method: 'DELETE' })
  expect(JSON.parse((await remove(DIGEST)).body.toString())).toEqual({ digest: DIGEST, bytes: 5 })
  expect(backend.removed).toEqual([DIGEST])
  expect((await remove(`sha256:${'b'.repeat(64)}`)).status).toBe(404)
  expect((await remove('sha256:b')).status).toBe(400)
  expect((await remove('..%2F..%2Fetc')).status).toBe(400)
})

describe('verify', () => {
  it('sends every event as a line', async () => {
    const events = [
      { type: 'blob', digest: DIGEST, size: 5, outcome: 'ok' },
      { type: 'done', checked: 1, bad: 0, bytes: 5, seconds: 0.1 },
    ] as const
    backend.verifyEvents = async function* () {
      yield* events
    }
    const answer = await ask(port, '/api/verify', { method: 'POST' })
    expect(answer.headers['content-type']).toBe('application/x-ndjson')
    expect(
      answer.body
        .toString()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(events)
  })

  it('says so when the check itself fails', async () => {
    backend.verifyEvents = async function* () {
      yield await Promise.reject(new Error('disk gone'))
    }
    const answer = await ask(port, '/api/verify', { method: 'POST' })
    expect(JSON.parse(answer.body.toString())).toMatchObject({ type: 'failed' })
    expect(log.lines).toMatchObject([{ level: 'error' }])
  })

  it('stops when the client leaves', async () => {
    const stopped = Promise.withResolvers<void>()
    backend.verifyEvents = async function* ({ signal }) {
      signal.addEventListener('abort', () => stopped.resolve())
      yield { type: 'blob', digest: DIGEST, size: 5, outcome: 'ok' }
      await stopped.promise
    }
    const sent = request({ host: '127.0.0.1', port, path: '/api/verify', method: 'POST', agent: false }).end()
    sent.on('error', () => {})
    const [response] = await once(sent, 'response')
    response.on('error', () => {})
    response.destroy()
    await expect(stopped.promise).resolves.toBeUndefined()
  })
})

describe('requests from elsewhere', () => {
  const change = (headers: Record<string, string>) => ask(port, `/api/blobs/${DIGEST}`, { method: 'DELETE', headers })

  it.each([
    [{ origin: 'http://evil.test' }],
    [{ origin: 'null' }],
    [{ origin: 'http://127.0.0.1:1' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ host: 'evil.test' }],
    [{ host: 'localhost.evil.test' }],
    [{ host: '127.0.0.1.evil.test' }],
    [{ host: '10.0.0.1' }],
    [{ host: 'user@localhost' }],
  ])('may not change anything: %o', async (headers) => {
    expect((await change(headers)).status).toBe(403)
    expect(backend.removed).toEqual([])
  })

  it.each([
    [{}],
    [{ host: 'localhost' }],
    [{ host: 'LOCALHOST:5053' }],
    [{ host: '[::1]:5053' }],
    [{ host: '127.0.0.1:5053', origin: 'http://127.0.0.1:5053', 'sec-fetch-site': 'same-origin' }],
    [{ 'sec-fetch-site': 'none' }],
  ])('from this host may: %o', async (headers) => {
    expect((await change(headers)).status).toBe(200)
  })

  it.each(['/', '/page/page.css', '/metrics', '/api/status', '/api/transfers', '/api/events', '/nothing'])(
    'may not read %s through a name that was made to point here',
    async (path) => {
      expect((await ask(port, path, { headers: { host: 'evil.test' } })).status).toBe(403)
    },
  )

  it('may read and change under a name that the configuration knows', async () => {
    const named = new AdminServer({ backend, metrics, log }, { host: '127.0.0.1', port: 0, hosts: ['*.fleet.test'] })
    await named.start()
    const at = named.addresses[0]?.port ?? 0
    const headers = { host: 'node-7.fleet.test' }
    expect((await ask(at, '/metrics', { headers })).status).toBe(200)
    expect((await ask(at, `/api/blobs/${DIGEST}`, { method: 'DELETE', headers })).status).toBe(200)
    expect((await ask(at, '/metrics', { headers: { host: 'fleet.test' } })).status).toBe(403)
    await named.stop({ deadlineMs: 0 })
  })

  it.each([
    ['POST', '/api/gc'],
    ['POST', '/api/verify'],
  ])('may not %s %s', async (method, path) => {
    expect((await ask(port, path, { method, headers: { origin: 'http://evil.test' } })).status).toBe(403)
  })

  it('may not preflight their way in', async () => {
    const headers = { origin: 'http://evil.test', 'access-control-request-method': 'DELETE' }
    const answer = await ask(port, `/api/blobs/${DIGEST}`, { method: 'OPTIONS', headers })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })
})

it('answers 404 to anything else, and 500 without a word of the cause to an error of ours', async () => {
  expect((await ask(port, '/api/x')).status).toBe(404)
  expect((await ask(port, '/v2/')).status).toBe(404)
  backend.collect = () => Promise.reject(new Error('/var/lib/secret'))
  const answer = await ask(port, '/api/gc', { method: 'POST' })
  expect(answer.status).toBe(500)
  expect(answer.body.toString()).not.toContain('secret')
})
