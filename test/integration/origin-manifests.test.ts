import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { parseDigest } from '../../src/oci/digest.ts'
import { DOCKER_MANIFEST, MANIFEST_ACCEPT, OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-type.ts'
import type { OriginClient } from '../../src/origin/origin-client.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { clientFor, scopeOf } from '../fixtures/fault-origin-client.ts'
import type { Fault } from '../fixtures/fault-origin-faults.ts'

const name = 'team/app'
const manifest = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: {}, layers: [] })
const { signal } = new AbortController()
const always = { signal }
const failure = (code: ErrorCode, facts: object = {}) => expect.objectContaining({ code, ...facts })

let origin: FaultOrigin
let client: OriginClient
let digest: ReturnType<FaultOrigin['addBlob']>

beforeEach(async () => {
  origin = await FaultOrigin.start()
  client = clientFor([origin])
  digest = origin.addManifest(name, 'v1', manifest, OCI_MANIFEST)
})

afterEach(async () => {
  await client.close()
  await origin.close()
})

describe('OriginClient.resolveTag', () => {
  const resolve = () => client.resolveTag(scopeOf(origin), 'v1', always)
  const expected = { mediaType: OCI_MANIFEST, size: manifest.length }

  it('asks with one HEAD that says what it accepts and who asks', async () => {
    expect(await resolve()).toEqual({ digest, ...expected })
    expect(origin.requests).toHaveLength(1)
    expect(origin.requests[0]).toMatchObject({ method: 'HEAD', path: `/v2/${name}/manifests/v1` })
    expect(origin.requests[0]?.headers).toMatchObject({
      accept: MANIFEST_ACCEPT,
      'accept-encoding': 'identity',
      'user-agent': 'shoal/test',
      'shoal-via': 'this-agent',
    })
  })

  it.each<[string, Fault]>([
    ['HEAD is not supported', { kind: 'status', status: 405 }],
    ['HEAD says no digest', { kind: 'headers', headers: { 'docker-content-digest': undefined } }],
    ['HEAD says a malformed digest', { kind: 'headers', headers: { 'docker-content-digest': 'sha256:nope' } }],
    ['HEAD says no length', { kind: 'headers', headers: { 'content-length': undefined } }],
    ['HEAD says no type', { kind: 'headers', headers: { 'content-type': undefined } }],
  ])('uses GET and computes the digest when %s', async (_, fault) => {
    origin.inject({ fault, match: { method: 'HEAD' } })
    expect(await resolve()).toEqual({ digest, ...expected })
    expect(origin.requests.map((one) => one.method)).toEqual(['HEAD', 'GET'])
  })

  it('drops the parameters of the media type', async () => {
    origin.inject({ fault: { kind: 'headers', headers: { 'content-type': `${OCI_MANIFEST}; charset=utf-8` } } })
    expect(await resolve()).toEqual({ digest, ...expected })
  })

  it('keeps its connections over many HEADs', async () => {
    for (let i = 0; i < 10; i += 1) await resolve()
    expect(new Set(origin.requests.map((one) => one.connection)).size).toBeLessThanOrEqual(2)
  })

  it('fails when a GET states another digest than its bytes have', async () => {
    origin.inject({ fault: { kind: 'status', status: 405 }, match: { method: 'HEAD' } })
    const other = `sha256:${'0'.repeat(64)}`
    origin.inject({ fault: { kind: 'headers', headers: { 'docker-content-digest': other } }, match: { method: 'GET' } })
    await expect(resolve()).rejects.toEqual(failure('DIGEST_MISMATCH'))
  })
})

describe('OriginClient.fetchManifest', () => {
  const fetch = () => client.fetchManifest(scopeOf(origin), digest, always)

  it('gives the verified bytes with the exact type', async () => {
    expect(await fetch()).toEqual({ digest, mediaType: OCI_MANIFEST, bytes: Buffer.from(manifest) })
  })

  it('verifies sha512 digests too', async () => {
    const long = origin.addManifest(name, undefined, manifest, OCI_MANIFEST, 'sha512')
    expect((await client.fetchManifest(scopeOf(origin), long, always)).digest).toBe(long)
  })

  it('accepts artifacts of unknown types', async () => {
    const odd = origin.addManifest(name, undefined, '{"odd":1}', 'application/x.odd+json')
    expect((await client.fetchManifest(scopeOf(origin), odd, always)).mediaType).toBe('application/x.odd+json')
  })

  it('rejects wrong bytes', async () => {
    origin.inject({ fault: { kind: 'corrupt', at: 3 } })
    await expect(fetch()).rejects.toEqual(failure('DIGEST_MISMATCH'))
  })

  it('rejects a manifest that is too large without reading it all', async () => {
    const bytes = Buffer.alloc(40 * 1024 * 1024, 0x20)
    const large = origin.addManifest(name, undefined, bytes, OCI_MANIFEST)
    await expect(client.fetchManifest(scopeOf(origin), large, always)).rejects.toEqual(failure('ORIGIN_MISBEHAVED'))
    await origin.until(({ requests }) => requests.every((one) => one.ended))
    expect(origin.egressBytes()).toBeLessThan(bytes.length)
  })

  it.each<[string, Fault]>([
    ['500', { kind: 'status', status: 500 }],
    ['502', { kind: 'status', status: 502 }],
    ['503', { kind: 'status', status: 503 }],
    ['429 without Retry-After', { kind: 'status', status: 429 }],
    ['429 with a short Retry-After', { kind: 'status', status: 429, headers: { 'retry-after': '0' } }],
    ['a close before the headers', { kind: 'close' }],
    ['silence before the headers', { kind: 'hang' }],
    ['a body that is cut', { kind: 'cut', after: 10 }],
    ['a body that stalls', { kind: 'hang-body', after: 10 }],
  ])('gets over %s, twice', async (_, fault) => {
    origin.inject({ fault, times: 2 })
    expect((await fetch()).digest).toBe(digest)
    expect(origin.requests).toHaveLength(3)
  })

  it.each<[string, Fault, ErrorCode, number]>([
    ['403', { kind: 'status', status: 403 }, 'DENIED', 1],
    ['404', { kind: 'status', status: 404 }, 'MANIFEST_UNKNOWN', 1],
    ['401 without a challenge', { kind: 'challenge', challenges: [] }, 'UNAUTHORIZED', 1],
    ['501', { kind: 'status', status: 501 }, 'ORIGIN_UNAVAILABLE', 1],
    ['500 for ever', { kind: 'status', status: 500 }, 'ORIGIN_UNAVAILABLE', 3],
    ['429 for ever', { kind: 'status', status: 429 }, 'ORIGIN_RATE_LIMITED', 3],
    ['429 for an hour', { kind: 'status', status: 429, headers: { 'retry-after': '3600' } }, 'ORIGIN_RATE_LIMITED', 1],
    ['503 for an hour', { kind: 'status', status: 503, headers: { 'retry-after': '3600' } }, 'ORIGIN_UNAVAILABLE', 1],
    ['closing for ever', { kind: 'close' }, 'ORIGIN_UNAVAILABLE', 3],
    ['silence for ever', { kind: 'hang' }, 'ORIGIN_UNAVAILABLE', 3],
    ['a redirect without Location', { kind: 'redirect', to: undefined }, 'ORIGIN_MISBEHAVED', 1],
    ['a redirect to no http URL', { kind: 'redirect', to: 'file:///etc/passwd' }, 'ORIGIN_MISBEHAVED', 1],
    ['a redirect to itself', { kind: 'redirect', to: '' }, 'ORIGIN_MISBEHAVED', 1],
    ['304', { kind: 'status', status: 304 }, 'ORIGIN_MISBEHAVED', 1],
    ['a redirect to metadata', { kind: 'redirect', to: 'http://169.254.169.254/x' }, 'ADDRESS_NOT_ALLOWED', 1],
    ['a redirect to its mapped form', { kind: 'redirect', to: 'http://[::ffff:a9fe:a9fe]/' }, 'ADDRESS_NOT_ALLOWED', 1],
  ])('after %s the error says so', async (_, fault, code, requests) => {
    origin.inject({ fault, times: Infinity })
    await expect(fetch()).rejects.toEqual(failure(code))
    expect(origin.requests).toHaveLength(requests)
  })

  it('names the registry in the message of an outage and keeps its cause', async () => {
    await origin.goOffline()
    await expect(fetch()).rejects.toEqual(
      failure('ORIGIN_UNAVAILABLE', {
        message: expect.stringContaining(origin.registry),
        cause: expect.objectContaining({ code: 'ECONNREFUSED' }),
      }),
    )
  })

  it('follows five redirects and not six', async () => {
    const chain = (length: number): void => {
      for (let i = 0; i < length; i += 1) {
        const path = i === 0 ? `/v2/${name}/manifests/${digest}` : `/hop/${i}`
        const to = i === length - 1 ? `/v2/${name}/manifests/v1` : `/hop/${i + 1}`
        origin.inject({ fault: { kind: 'redirect', to }, match: { path } })
      }
    }
    chain(5)
    expect((await fetch()).digest).toBe(digest)
    chain(6)
    await expect(fetch()).rejects.toEqual(failure('ORIGIN_MISBEHAVED'))
  })

  it('ends at once when the caller leaves, while waiting and between tries', async () => {
    for (const fault of [{ kind: 'hang' }, { kind: 'status', status: 500, headers: { 'retry-after': '5' } }] as const) {
      const stop = new AbortController()
      const { hits } = origin.inject({ fault, times: Infinity })
      expect(hits).toBe(0)
      const before = origin.requests.length
      const fetching = client.fetchManifest(scopeOf(origin), digest, { signal: stop.signal })
      await origin.until(({ requests }) => requests.length > before)
      stop.abort()
      await expect(fetching).rejects.toEqual(failure('ABORTED'))
    }
  })

  it('asks no registry that is not allowed, and none at a metadata address', async () => {
    const strict = clientFor([origin], { init: { allow: ['*.example.com', '169.254.169.254'] } })
    await expect(strict.fetchManifest(scopeOf(origin), digest, always)).rejects.toEqual(failure('REGISTRY_NOT_ALLOWED'))
    expect(() => strict.identity(scopeOf(origin))).toThrow(failure('REGISTRY_NOT_ALLOWED'))
    const scope = { repository: { registry: '169.254.169.254', name }, authorization: undefined }
    await expect(strict.fetchManifest(scope, digest, always)).rejects.toEqual(failure('ADDRESS_NOT_ALLOWED'))
    await strict.close()
    expect(origin.requests).toEqual([])
  })
})

describe('OriginClient during an outage', () => {
  it('fails fast after the first request, and works again when the origin does', async () => {
    let now = 0
    const patient = clientFor([origin], { clock: () => now, init: { outageMs: 2_000 } })
    const resolve = () => patient.resolveTag(scopeOf(origin), 'v1', always)
    await origin.goOffline()
    await expect(resolve()).rejects.toEqual(failure('ORIGIN_UNAVAILABLE'))
    await origin.goOnline()
    await expect(resolve()).rejects.toEqual(failure('ORIGIN_UNAVAILABLE'))
    expect(origin.requests).toHaveLength(0)
    now = 2_000
    expect((await resolve()).digest).toBe(digest)
    expect((await resolve()).digest).toBe(digest)
    await patient.close()
  })
})

describe('OriginClient over TLS', () => {
  it('trusts the configured authority and no other, and never falls back to http', async () => {
    await using secure = await FaultOrigin.start({ tls: true })
    secure.addManifest(name, 'v1', manifest, OCI_MANIFEST)
    const trusting = clientFor([secure])
    expect((await trusting.resolveTag(scopeOf(secure), 'v1', always)).digest).toBe(digest)
    await trusting.close()
    const strict = clientFor([secure], { settings: { ca: undefined } })
    await expect(strict.resolveTag(scopeOf(secure), 'v1', always)).rejects.toEqual(failure('ORIGIN_UNAVAILABLE'))
    await strict.close()
    const https = clientFor([origin], { settings: { plainHttp: false } })
    await expect(https.resolveTag(scopeOf(origin), 'v1', always)).rejects.toEqual(failure('ORIGIN_UNAVAILABLE'))
    await https.close()
    expect(secure.requests).toHaveLength(1)
    expect(origin.requests).toHaveLength(0)
  })

  it('refuses a redirect from https to http', async () => {
    await using secure = await FaultOrigin.start({ tls: true })
    secure.inject({ fault: { kind: 'redirect', to: `${origin.url}/v2/${name}/manifests/v1` } })
    const trusting = clientFor([secure])
    await expect(trusting.fetchManifest(scopeOf(secure), digest, always)).rejects.toEqual(failure('ORIGIN_MISBEHAVED'))
    expect(origin.requests).toHaveLength(0)
    await trusting.close()
  })
})

describe('OriginClient with mirrors', () => {
  it.each<[string, Fault]>([
    ['unknown there', { kind: 'status', status: 404 }],
    ['refused there', { kind: 'challenge', challenges: ['Basic realm="x"'] }],
    ['wrong there', { kind: 'corrupt', at: 0 }],
    ['the mirror is down', { kind: 'close' }],
  ])('asks the registry when a manifest is %s', async (_, fault) => {
    await using mirror = await FaultOrigin.start()
    mirror.addManifest(name, 'v1', manifest, OCI_MANIFEST)
    const mirrored = clientFor([origin], { settings: { plainHttp: true, mirrors: [mirror.url] } })
    expect((await mirrored.fetchManifest(scopeOf(origin), digest, always)).digest).toBe(digest)
    expect(origin.requests).toHaveLength(0)
    mirror.inject({ fault, times: Infinity })
    expect((await mirrored.fetchManifest(scopeOf(origin), digest, always)).digest).toBe(digest)
    expect(origin.requests).toHaveLength(1)
    await mirrored.close()
  })

  it('says what the mirror and the registry said when neither has an answer', async () => {
    await using mirror = await FaultOrigin.start()
    const mirrored = clientFor([origin], { settings: { plainHttp: true, mirrors: [mirror.url] } })
    await origin.close()
    const why = `the mirror ${mirror.registry} has no such image, and ${origin.registry}`
    const asked = mirrored.resolveTag(scopeOf(origin), 'misspelt', always)
    const unreachable = { message: `${why} cannot be reached (ECONNREFUSED)`, unreachable: true }
    await expect(asked).rejects.toEqual(failure('ORIGIN_UNAVAILABLE', unreachable))
    const mirrorsOnly = mirrored.resolveTag(scopeOf(origin), 'misspelt', { signal, mirrorsOnly: true })
    const notAsked = { message: `${why} could not be reached just now` }
    await expect(mirrorsOnly).rejects.toEqual(failure('ORIGIN_UNAVAILABLE', notAsked))
    await mirrored.close()
  })

  it('asks no mirror that failed, where mirrors alone are asked and another one answers', async () => {
    await using silent = await FaultOrigin.start()
    await using good = await FaultOrigin.start()
    good.addManifest(name, 'v1', manifest, OCI_MANIFEST)
    silent.inject({ fault: { kind: 'close' }, times: Infinity })
    const mirrored = clientFor([origin], { settings: { plainHttp: true, mirrors: [silent.url, good.url] } })
    await mirrored.resolveTag(scopeOf(origin), 'v1', always)
    const before = silent.requests.length
    await mirrored.resolveTag(scopeOf(origin), 'v1', { ...always, mirrorsOnly: true })
    expect([before > 0, silent.requests.length - before]).toEqual([true, 0])
    await mirrored.close()
  })

  it('knows whether a mirror answered when it was asked last', async () => {
    await using mirror = await FaultOrigin.start()
    const mirrored = clientFor([origin], { settings: { plainHttp: true, mirrors: [mirror.url] } })
    const ask = () => mirrored.resolveTag(scopeOf(origin), 'v1', always)
    expect(mirrored.hasLiveMirror(scopeOf(origin))).toBe(true)
    expect(mirrored.hasLiveMirror(scopeOf(origin, name, 'Bearer of-the-client'))).toBe(false)
    expect(client.hasLiveMirror(scopeOf(origin))).toBe(false)
    await ask()
    expect(mirrored.hasLiveMirror(scopeOf(origin))).toBe(true)
    mirror.inject({ fault: { kind: 'close' }, times: 3 })
    await ask()
    expect(mirrored.hasLiveMirror(scopeOf(origin))).toBe(false)
    await ask()
    expect(mirrored.hasLiveMirror(scopeOf(origin))).toBe(true)
    await mirrored.close()
  })

  it('counts a mirror as failing that kept a request waiting until nobody waited any more', async () => {
    await using mirror = await FaultOrigin.start()
    mirror.inject({ fault: { kind: 'hang' }, times: Infinity })
    let now = 0
    const mirrored = clientFor([origin], {
      settings: { plainHttp: true, mirrors: [mirror.url] },
      init: { firstByteMs: 30_000 },
      clock: () => (now += 1_000),
    })
    const asking = new AbortController()
    const asked = mirrored.resolveTag(scopeOf(origin), 'v1', { signal: asking.signal })
    asking.abort()
    await expect(asked).rejects.toEqual(failure('ABORTED'))
    expect(mirrored.hasLiveMirror(scopeOf(origin))).toBe(false)
    await mirrored.close()
  })

  it("never shows a client's credentials to a mirror", async () => {
    await using mirror = await FaultOrigin.start()
    const mirrored = clientFor([origin], { settings: { plainHttp: true, mirrors: [mirror.url] } })
    await mirrored.resolveTag(scopeOf(origin, name, 'Bearer of-the-client'), 'v1', always)
    expect(mirror.requests).toHaveLength(0)
    expect(origin.requests[0]?.headers.authorization).toBe('Bearer of-the-client')
    await mirrored.close()
  })
})

describe('OriginClient lists and checks', () => {
  it('hands on tags with their paging', async () => {
    origin.addManifest(name, 'v2', '{}', DOCKER_MANIFEST)
    const page = await client.listTags(scopeOf(origin), 'n=1', always)
    expect(page).toMatchObject({ contentType: 'application/json', link: expect.stringContaining('last=v1') })
    expect(JSON.parse(page.body.toString())).toEqual({ name, tags: ['v1'] })
    const rest = await client.listTags(scopeOf(origin), 'n=1&last=v1', always)
    expect(JSON.parse(rest.body.toString())).toEqual({ name, tags: ['v2'] })
  })

  it('hands on the catalog', async () => {
    const { body } = await client.listCatalog({ registry: origin.registry, authorization: undefined }, '', always)
    expect(JSON.parse(body.toString())).toEqual({ repositories: [name] })
  })

  it('says NAME_UNKNOWN for tags of a repository that is not there', async () => {
    await expect(client.listTags(scopeOf(origin, 'none'), '', always)).rejects.toEqual(failure('NAME_UNKNOWN'))
  })

  it('hands on referrers, with the filter that was applied', async () => {
    const referrer = JSON.stringify({ mediaType: OCI_MANIFEST, artifactType: 'x/y', subject: { digest } })
    origin.addManifest(name, undefined, referrer, OCI_MANIFEST)
    const answer = await client.listReferrers(scopeOf(origin), digest, 'artifactType=x%2Fy', always)
    expect(answer).toMatchObject({ contentType: OCI_INDEX, filtersApplied: 'artifactType' })
    expect(JSON.parse(answer?.body.toString() ?? '').manifests).toHaveLength(1)
  })

  it('knows an origin without a referrers API', async () => {
    origin.referrersApi = false
    expect(await client.listReferrers(scopeOf(origin), digest, '', always)).toBeUndefined()
    origin.referrersApi = true
    origin.inject({ fault: { kind: 'headers', headers: { 'content-type': 'text/html' } } })
    expect(await client.listReferrers(scopeOf(origin), digest, '', always)).toBeUndefined()
    origin.inject({ fault: { kind: 'status', status: 503 }, times: 3 })
    await expect(client.listReferrers(scopeOf(origin), digest, '', always)).rejects.toEqual(
      failure('ORIGIN_UNAVAILABLE'),
    )
  })

  it('checks manifests and blobs by HEAD', async () => {
    expect(await client.checkManifest(scopeOf(origin), digest, always)).toBe(OCI_MANIFEST)
    const blob = origin.addBlob(Buffer.alloc(77))
    expect(await client.checkBlob(scopeOf(origin), blob, always)).toBe(77)
    const none = parseDigest(`sha256:${createHash('sha256').update('none').digest('hex')}`)
    await expect(client.checkBlob(scopeOf(origin), none, always)).rejects.toEqual(failure('BLOB_UNKNOWN'))
    await expect(client.checkManifest(scopeOf(origin), none, always)).rejects.toEqual(failure('MANIFEST_UNKNOWN'))
    expect(origin.requests.every((one) => one.method === 'HEAD')).toBe(true)
  })

  it('takes a redirected HEAD that the storage refuses for an admission', async () => {
    await using cdn = await FaultOrigin.start()
    const blob = origin.addBlob(Buffer.alloc(77))
    origin.redirectBlobsTo(cdn)
    expect(await client.checkBlob(scopeOf(origin), blob, always)).toBe(77)
    cdn.inject({ fault: { kind: 'status', status: 403 }, times: Infinity })
    expect(await client.checkBlob(scopeOf(origin), blob, always)).toBeUndefined()
  })
})
