import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ShoalError } from '../../src/errors.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-type.ts'
import { type FacadeFixture, startFacade } from '../fakes/facade-fixture.ts'
import { FakeBlobReader, patternBytes, sha256Of } from '../fakes/fake-blob-reader.ts'
import { FakePullServices, type Weather } from '../fakes/fake-pull-services.ts'
import { ask, sendRaw } from '../fakes/raw-http.ts'

const CONTENT = patternBytes(300_000)
const DIGEST = sha256Of(CONTENT)
const MANIFEST = Buffer.from('{"schemaVersion":2}')
const MANIFEST_DIGEST = sha256Of(MANIFEST)
const LIST = Buffer.from('{"tags":["v1"]}')
const CHALLENGE = 'Bearer realm="https://auth.test/token",service="reg",scope="repository:a/b:pull"'
const FIRST_BYTE_MS = 150

let stale: { ageSeconds: number } | undefined
let makeBlob = (): FakeBlobReader => new FakeBlobReader(CONTENT)
const services = new FakePullServices({
  blob: () => makeBlob(),
  get manifest() {
    return { digest: MANIFEST_DIGEST, mediaType: OCI_MANIFEST, size: MANIFEST.length, bytes: MANIFEST, stale }
  },
  list: {
    contentType: undefined,
    link: '</v2/b/tags/list?n=1&last=v1>; rel="next"',
    filtersApplied: 'artifactType',
    body: LIST,
  },
})
let facade: FacadeFixture

beforeAll(async () => {
  facade = await startFacade(services, { firstByteMs: FIRST_BYTE_MS, hosts: ['mirror.test'] })
})
afterAll(() => facade[Symbol.asyncDispose]())
beforeEach(() => {
  services.weather = { kind: 'present' }
  services.calls.length = 0
  services.opened.length = 0
  facade.ready = true
  facade.log.lines.length = 0
  facade.answers.length = 0
  facade.failures.length = 0
  stale = undefined
  makeBlob = () => new FakeBlobReader(CONTENT)
})

const PATHS = {
  'a manifest by tag': '/v2/a/b/manifests/v1',
  'a manifest by digest': `/v2/a/b/manifests/${MANIFEST_DIGEST}`,
  'a blob': `/v2/a/b/blobs/${DIGEST}`,
  tags: '/v2/a/b/tags/list',
  referrers: `/v2/a/b/referrers/${MANIFEST_DIGEST}`,
  catalog: '/v2/_catalog',
}
type Endpoint = keyof typeof PATHS

const failing = (code: ConstructorParameters<typeof ShoalError>[0], challenge?: string): Weather => ({
  kind: 'error',
  error: new ShoalError(code, 'as told by the test', { challenge }),
})

describe('every endpoint in every weather', () => {
  const unknown = (endpoint: Endpoint): string =>
    endpoint === 'a blob' ? 'BLOB_UNKNOWN' : endpoint.startsWith('a manifest') ? 'MANIFEST_UNKNOWN' : 'NAME_UNKNOWN'
  const later = (endpoint: Endpoint): [number, string] =>
    endpoint === 'a blob' ? [404, 'BLOB_UNKNOWN'] : [503, 'UNAVAILABLE']
  const weathers: [string, Weather, (endpoint: Endpoint) => [number, string | undefined]][] = [
    ['is present', { kind: 'present' }, () => [200, undefined]],
    ['is absent', failing('MANIFEST_UNKNOWN'), () => [404, 'MANIFEST_UNKNOWN']],
    ['is of an unknown registry', failing('REGISTRY_NOT_ALLOWED'), () => [404, 'NAME_UNKNOWN']],
    ['is denied', failing('DENIED'), () => [403, 'DENIED']],
    ['needs a token', failing('UNAUTHORIZED', CHALLENGE), () => [401, 'UNAUTHORIZED']],
    ['needs a password', failing('UNAUTHORIZED', 'Basic realm="reg"'), (endpoint) => [404, unknown(endpoint)]],
    ['is refused without a challenge', failing('UNAUTHORIZED'), (endpoint) => [404, unknown(endpoint)]],
    ['has its origin down', failing('ORIGIN_UNAVAILABLE'), later],
    ['has its origin limiting', failing('ORIGIN_RATE_LIMITED'), later],
    ['has a silent origin', { kind: 'silent' }, later],
    ['meets an error of ours', { kind: 'error', error: new TypeError('x') as ShoalError }, () => [500, 'UNAVAILABLE']],
  ]
  const table = weathers.flatMap(([title, weather, outcome]) =>
    (Object.keys(PATHS) as Endpoint[]).flatMap((endpoint) =>
      (['GET', 'HEAD'] as const).map((method) => ({ title, weather, endpoint, method, outcome: outcome(endpoint) })),
    ),
  )

  it.each(table)(
    '$method of $endpoint that $title: $outcome',
    async ({ weather, endpoint, method, outcome: [status, code] }) => {
      services.weather = weather
      const answer = await ask(facade.port, PATHS[endpoint], { method })
      expect(answer.status).toBe(status)
      expect(answer.complete).toBe(true)
      expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
      expect(answer.headers['transfer-encoding']).toBeUndefined()
      expect(answer.headers['www-authenticate']).toBe(status === 401 ? CHALLENGE : undefined)
      expect(answer.body.length).toBe(method === 'HEAD' ? 0 : Number(answer.headers['content-length']))
      if (code === undefined || method === 'HEAD') return
      expect(answer.headers['content-type']).toBe('application/json')
      expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code, message: expect.any(String) }] })
    },
  )

  it.each(Object.entries(PATHS))('answers HEAD of %s with the headers of GET', async (_endpoint, path) => {
    const [get, head] = [await ask(facade.port, path), await ask(facade.port, path, { method: 'HEAD' })]
    const shown = ({
      headers: { date: _date, connection: _connection, 'cache-status': _cache, ...rest },
    }: typeof get) => rest
    expect(shown(head)).toEqual(shown(get))
  })

  it('logs nothing above debug for what the network does, and an error for what we do', async () => {
    services.weather = failing('ORIGIN_UNAVAILABLE')
    await ask(facade.port, PATHS['a blob'])
    expect(facade.log.lines.filter(({ level }) => level !== 'debug')).toEqual([])
    services.weather = { kind: 'error', error: new TypeError('x') as ShoalError }
    await ask(facade.port, PATHS['a blob'])
    expect(facade.log.lines.filter(({ level }) => level !== 'debug')).toMatchObject([{ level: 'error' }])
  })

  it('never logs the authorization of a request', async () => {
    for (const weather of [services.weather, failing('DENIED')]) {
      services.weather = weather
      await ask(facade.port, PATHS['a blob'], { headers: { authorization: 'Bearer s3cret' } })
    }
    expect(services.calls.every(({ scope }) => scope?.authorization === 'Bearer s3cret')).toBe(true)
    expect(facade.log.lines.length).toBeGreaterThan(0)
    expect(JSON.stringify(facade.log.lines)).not.toContain('s3cret')
  })
})

describe('/v2/', () => {
  it.each(['/v2/', '/v2', '/v2/?ns=docker.io'])('answers %s at once, whatever the origin does', async (path) => {
    services.weather = { kind: 'silent' }
    const answer = await ask(facade.port, path)
    expect([answer.status, answer.body.toString(), answer.headers['content-type']]).toEqual([
      200,
      '{}',
      'application/json',
    ])
    expect(services.calls).toEqual([])
  })

  it('answers 503 while the agent is not ready, so that podman goes elsewhere', async () => {
    facade.ready = false
    expect((await ask(facade.port, '/v2/')).status).toBe(503)
  })
})

describe('manifests', () => {
  it('come with exact type, length and digest', async () => {
    const { body, headers, status } = await ask(facade.port, PATHS['a manifest by tag'])
    expect(status).toBe(200)
    expect(body).toEqual(MANIFEST)
    expect(headers).toMatchObject({
      'content-type': OCI_MANIFEST,
      'content-length': `${MANIFEST.length}`,
      'docker-content-digest': MANIFEST_DIGEST,
      etag: `"${MANIFEST_DIGEST}"`,
    })
  })

  it('ignore a Range, as containerd sends it for everything', async () => {
    const answer = await ask(facade.port, PATHS['a manifest by digest'], { headers: { range: 'bytes=0-' } })
    expect([answer.status, answer.body]).toEqual([200, MANIFEST])
  })

  it('are not sent again to who has them', async () => {
    const answer = await ask(facade.port, PATHS['a manifest by tag'], {
      headers: { 'if-none-match': `"${MANIFEST_DIGEST}"` },
    })
    expect([answer.status, answer.body.length, answer.headers.etag]).toEqual([304, 0, `"${MANIFEST_DIGEST}"`])
    expect(services.calls.map(({ name }) => name)).toEqual(['manifests.head'])
  })

  it('say when they stand in for an origin that can not be asked', async () => {
    stale = { ageSeconds: 61.7 }
    for (const method of ['GET', 'HEAD']) {
      const { headers } = await ask(facade.port, PATHS['a manifest by tag'], { method })
      expect(headers['cache-status']).toBe('shoal; hit; ttl=-61; detail=origin-unreachable')
      expect(headers.age).toBe('61')
    }
  })
})

describe('blobs', () => {
  it('come whole, raw, with length, digest and where they came from', async () => {
    const { body, headers, status } = await ask(facade.port, PATHS['a blob'], {
      headers: { 'accept-encoding': 'zstd, gzip' },
    })
    expect(status).toBe(200)
    expect(body.equals(CONTENT)).toBe(true)
    expect(headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': `${CONTENT.length}`,
      'docker-content-digest': DIGEST,
      etag: `"${DIGEST}"`,
      'accept-ranges': 'bytes',
      'cache-status': 'shoal; hit',
    })
    expect(headers['content-encoding']).toBeUndefined()
    expect(services.opened.map((blob) => (blob as FakeBlobReader).closeCount)).toEqual([1])
  })

  it.each([
    ['miss', 'shoal; fwd=miss'],
    ['pass-through', 'shoal; fwd=bypass'],
  ] as const)('say %s', async (cacheStatus, shown) => {
    makeBlob = () => new FakeBlobReader(CONTENT, { cacheStatus })
    expect((await ask(facade.port, PATHS['a blob'])).headers['cache-status']).toBe(shown)
  })

  it('may be empty', async () => {
    makeBlob = () => new FakeBlobReader(Buffer.alloc(0))
    const answer = await ask(facade.port, PATHS['a blob'])
    expect([answer.status, answer.headers['content-length'], answer.complete]).toEqual([200, '0', true])
  })

  it('come in one piece however the reader gives them', async () => {
    makeBlob = () => new FakeBlobReader(CONTENT, { readBytes: 7_001 })
    expect((await ask(facade.port, PATHS['a blob'])).body.equals(CONTENT)).toBe(true)
  })

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=100-', 100, CONTENT.length],
    ['bytes=-100', CONTENT.length - 100, CONTENT.length],
    ['bytes=5-999999999', 5, CONTENT.length],
    ['bytes=65530-131080', 65_530, 131_081],
  ])('answer %s with 206', async (range, start, end) => {
    const { body, headers, status } = await ask(facade.port, PATHS['a blob'], { headers: { range } })
    expect(status).toBe(206)
    expect(headers['content-range']).toBe(`bytes ${start}-${end - 1}/${CONTENT.length}`)
    expect(headers['content-length']).toBe(`${end - start}`)
    expect(body.equals(CONTENT.subarray(start, end))).toBe(true)
  })

  it.each(['bytes=300000-', 'bytes=5000000-6000000', 'bytes=-0'])(
    'answer %s with 416 and their size',
    async (range) => {
      const { headers, status, body } = await ask(facade.port, PATHS['a blob'], { headers: { range } })
      expect([status, headers['content-range']]).toEqual([416, `bytes */${CONTENT.length}`])
      expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: 'RANGE_INVALID' }] })
      expect(services.opened.map((blob) => (blob as FakeBlobReader).closeCount)).toEqual([1])
    },
  )

  it.each(['bytes=500-0', 'bytes=x', 'lines=1-2'])('ignore %s', async (range) => {
    const answer = await ask(facade.port, PATHS['a blob'], { headers: { range } })
    expect([answer.status, answer.body.length]).toEqual([200, CONTENT.length])
  })

  it('answer several ranges as multipart/byteranges', async () => {
    const answer = await ask(facade.port, PATHS['a blob'], { headers: { range: 'bytes=10-19,70000-150000,-5' } })
    expect(answer.status).toBe(206)
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(answer.headers['content-type'] ?? '')?.[1]
    const part = (start: number, end: number): Buffer[] => [
      Buffer.from(`--${boundary}\r\nContent-Type: application/octet-stream\r\n`),
      Buffer.from(`Content-Range: bytes ${start}-${end - 1}/${CONTENT.length}\r\n\r\n`),
      CONTENT.subarray(start, end),
      Buffer.from('\r\n'),
    ]
    const size = CONTENT.length
    const expected = [
      ...part(10, 20),
      ...part(70_000, 150_001),
      ...part(size - 5, size),
      Buffer.from(`--${boundary}--\r\n`),
    ]
    expect(answer.body.equals(Buffer.concat(expected))).toBe(true)
  })

  it('take a header with 1024 ranges, larger than what Node takes by default', async () => {
    const range = `bytes=${Array.from({ length: 1_024 }, (_, i) => `${100_000 + i * 100}-${100_049 + i * 100}`).join(',')}`
    const answer = await ask(facade.port, PATHS['a blob'], { headers: { range, 'x-padding': 'x'.repeat(10_000) } })
    expect([answer.status, answer.complete]).toEqual([206, true])
    expect(answer.body.toString('latin1').match(/Content-Range: /g)?.length).toBe(1_024)
  })

  it.each([
    [`"${DIGEST}"`, 206],
    ['"other"', 200],
    ['Sat, 21 Nov 2026 13:39:20 GMT', 200],
  ])('heed If-Range %s: %s', async (ifRange, status) => {
    const answer = await ask(facade.port, PATHS['a blob'], { headers: { range: 'bytes=0-9', 'if-range': ifRange } })
    expect(answer.status).toBe(status)
  })

  it('are not sent again to who has them, after a check of access', async () => {
    const headers = { 'if-none-match': `"${DIGEST}"`, range: 'bytes=0-9' }
    expect((await ask(facade.port, PATHS['a blob'], { headers })).status).toBe(304)
    expect(services.calls.map(({ name }) => name)).toEqual(['blobs.stat'])
    services.weather = failing('DENIED')
    expect((await ask(facade.port, PATHS['a blob'], { headers })).status).toBe(403)
  })

  it('give 404 when the first bytes will not come, and close what was opened', async () => {
    makeBlob = () =>
      new FakeBlobReader(CONTENT, {
        beforeRead: () => Promise.reject(new ShoalError('STALLED', 'the origin said nothing')),
      })
    const answer = await ask(facade.port, PATHS['a blob'])
    expect(answer.status).toBe(404)
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      errors: [{ code: 'BLOB_UNKNOWN', message: 'the origin said nothing', detail: { reason: 'STALLED' } }],
    })
    expect(services.opened.map((blob) => (blob as FakeBlobReader).closeCount)).toEqual([1])
  })

  it('give 404 when the first bytes do not come by the deadline, even from a reader that heeds no signal', async () => {
    makeBlob = () => new FakeBlobReader(CONTENT, { beforeRead: () => new Promise(() => {}) })
    expect((await ask(facade.port, PATHS['a blob'])).status).toBe(404)
    expect(services.opened.map((blob) => (blob as FakeBlobReader).closeCount)).toEqual([1])
  })

  it('are cut, never ended short, when an error comes after the first byte', async () => {
    makeBlob = () =>
      new FakeBlobReader(CONTENT, {
        beforeRead: (position) =>
          position === 0 ? Promise.resolve() : Promise.reject(new ShoalError('DIGEST_MISMATCH', 'wrong')),
      })
    const answer = await ask(facade.port, PATHS['a blob'])
    expect([answer.status, answer.complete]).toEqual([200, false])
    expect(answer.body.length).toBeLessThan(CONTENT.length)
    expect(CONTENT.subarray(0, answer.body.length).equals(answer.body)).toBe(true)
    expect(facade.answers).toEqual(['blob cut'])
    expect(services.opened.map((blob) => (blob as FakeBlobReader).closeCount)).toEqual([1])
  })

  it('may take longer than the deadline for the first byte, once it is there', async () => {
    const late = Promise.withResolvers<void>()
    makeBlob = () =>
      new FakeBlobReader(CONTENT, { beforeRead: (position) => (position === 0 ? Promise.resolve() : late.promise) })
    setTimeout(late.resolve, 2 * FIRST_BYTE_MS)
    const answer = await ask(facade.port, PATHS['a blob'])
    expect([answer.complete, answer.body.length]).toEqual([true, CONTENT.length])
  })
})

describe('where a request goes', () => {
  const asked = async (path: string): Promise<unknown> => {
    services.calls.length = 0
    await ask(facade.port, path)
    return services.calls[0]?.scope?.repository
  }

  it('is told by ns, by a host in the path, or is the default', async () => {
    expect(await asked('/v2/busybox/manifests/v1')).toEqual({ registry: 'docker.io', name: 'library/busybox' })
    expect(await asked('/v2/a/b/manifests/v1?ns=10.99.0.1%3A5001')).toEqual({ registry: '10.99.0.1:5001', name: 'a/b' })
    expect(await asked('/v2/reg.test/a/b/manifests/v1')).toEqual({ registry: 'reg.test', name: 'a/b' })
    expect(await asked('/v2/reg.test_5000/a/b/manifests/v1')).toEqual({ registry: 'reg.test:5000', name: 'a/b' })
    expect(await asked('/v2/_catalog?ns=reg.test')).toEqual({ registry: 'reg.test', name: '' })
  })

  it('is echoed as OCI-Namespace when ns was used', async () => {
    expect((await ask(facade.port, `${PATHS['a blob']}?ns=reg.test%3A5000`)).headers['oci-namespace']).toBe(
      'reg.test:5000',
    )
    expect((await ask(facade.port, PATHS['a blob'])).headers['oci-namespace']).toBeUndefined()
  })
})

describe('lists', () => {
  it('lead to their next page through the agent', async () => {
    const { headers, body } = await ask(facade.port, '/v2/reg.test/b/tags/list?n=1&ns=other.test')
    expect(headers.link).toBe('</v2/reg.test/b/tags/list?n=1&last=v1&ns=other.test>; rel="next"')
    expect(services.calls).toMatchObject([{ name: 'lists.tags', query: 'n=1' }])
    expect(body).toEqual(LIST)
  })

  it('of referrers are an image index and say which filters were applied', async () => {
    const { headers } = await ask(facade.port, `${PATHS.referrers}?artifactType=x%2Fy`)
    expect([headers['content-type'], headers['oci-filters-applied']]).toEqual([OCI_INDEX, 'artifactType'])
    expect(services.calls).toMatchObject([{ query: 'artifactType=x%2Fy' }])
  })
})

describe('what is refused', () => {
  it.each([
    ['/v2/a/blobs/sha256:baddigeststring', 400, 'DIGEST_INVALID'],
    ['/v2/a/manifests/sha256:bad', 400, 'DIGEST_INVALID'],
    ['/v2/A/manifests/v1', 400, 'NAME_INVALID'],
    ['/v2/a%zz/manifests/v1', 400, 'NAME_INVALID'],
    ['/v2/a/../b/manifests/v1', 400, 'NAME_INVALID'],
    ['/v2/a/manifests/v1?ns=http://x', 400, 'NAME_INVALID'],
    ['/v2/a/manifests/v1?ns=x%0d%0aEvil:1', 400, 'NAME_INVALID'],
    ['/v2/a', 404, 'NAME_UNKNOWN'],
    ['/', 404, 'NAME_UNKNOWN'],
    ['/%', 404, 'NAME_UNKNOWN'],
    ['/v1/_ping', 404, 'NAME_UNKNOWN'],
    ['/api/status', 404, 'NAME_UNKNOWN'],
    ['/v2/a/blobs/uploads/', 405, 'UNSUPPORTED'],
  ])('GET %s: %s %s', async (path, status, code) => {
    const answer = await ask(facade.port, path)
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code }] })
    expect(services.calls).toEqual([])
  })

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])('%s, with what is allowed', async (method) => {
    for (const path of ['/v2/', '/v2/a/blobs/uploads/', PATHS['a blob'], '/x']) {
      const answer = await ask(facade.port, path, {
        method,
        headers: { 'content-type': 'application/json; charset=x' },
      })
      expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD'])
    }
  })

  it('a request of this agent that came back to it', async () => {
    const answer = await ask(facade.port, PATHS['a blob'], { headers: { 'shoal-via': 'agent-0, agent-1' } })
    expect(answer.status).toBe(508)
    expect(services.calls).toEqual([])
    expect((await ask(facade.port, PATHS['a blob'], { headers: { 'shoal-via': 'agent-0, agent-11' } })).status).toBe(
      200,
    )
  })
})

describe('a Host that is none of this host', () => {
  const DENIED = {
    errors: [{ code: 'DENIED', message: expect.stringContaining('facade.hosts'), detail: { reason: 'PAGE_REFUSED' } }],
  }
  const paths = ['/v2/', `/v2/a/b/blobs/${DIGEST}`, `/v2/a/b/manifests/v1?ns=docker.io`, '/v2/_catalog', '/nothing']

  it.each(paths)('is refused for %s, before anybody is asked', async (path) => {
    const { status, body } = await ask(facade.port, path, { headers: { host: `evil.test:${facade.port}` } })
    expect(status).toBe(403)
    expect(JSON.parse(body.toString())).toEqual(DENIED)
    expect(services.calls).toEqual([])
    expect(facade.failures).toEqual([expect.stringMatching(/ PAGE_REFUSED$/)])
  })

  it('is no client that was seen', async () => {
    facade.seen.length = 0
    const client = { 'user-agent': 'docker/28.5.2' }
    await ask(facade.port, '/v2/', { headers: { host: 'evil.test', ...client } })
    await ask(facade.port, '/v2/', { headers: { 'sec-fetch-site': 'cross-site', ...client } })
    await ask(facade.port, '/v2/', { headers: { 'shoal-via': 'agent-1', ...client } })
    expect(facade.seen).toEqual([])
    await ask(facade.port, '/v2/', { headers: client })
    expect(facade.seen).toEqual(['docker/28.5.2'])
  })

  it('is told from the names that clients use, and from none', async () => {
    for (const host of ['localhost', '10.0.0.7:5050', 'mirror.test:5050', `[::1]:${facade.port}`]) {
      expect(await ask(facade.port, '/v2/', { headers: { host } })).toMatchObject({ status: 200 })
    }
    expect(await sendRaw(facade.port, 'GET /v2/ HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  })
})
