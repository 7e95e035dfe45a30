import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { OCI_MANIFEST } from '../../src/oci/media-type.ts'
import type { Credentials } from '../../src/origin/credentials.ts'
import type { Credential } from '../../src/origin/docker-config.ts'
import type { OriginClient } from '../../src/origin/origin-client.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { clientFor, noCredentials, scopeOf } from '../fixtures/fault-origin-client.ts'

const name = 'team/app'
const { signal } = new AbortController()
const always = { signal }
const users = { me: 'pa:ss' }
const me: Credential = { kind: 'password', username: 'me', password: 'pa:ss' }
const failure = (code: ErrorCode, facts: object = {}) => expect.objectContaining({ code, ...facts })

let origin: FaultOrigin
let clients: OriginClient[]

beforeEach(async () => {
  clients = []
  origin = await FaultOrigin.start()
  origin.addManifest(name, 'v1', '{}', OCI_MANIFEST)
})

afterEach(async () => {
  for (const client of clients) await client.close()
  await origin.close()
})

function credentials(credential: Credential, registry = origin.registry): Credentials & { refusals: number } {
  return {
    refusals: 0,
    account: (asked) => (asked === registry ? 'account' : undefined),
    certain: () => undefined,
    get: async (asked) => (asked === registry ? credential : undefined),
    refused() {
      this.refusals += 1
    },
  }
}

function clientWith(own: Credentials = noCredentials, clock: () => number = Date.now): OriginClient {
  const client = clientFor([origin], { credentials: own, clock })
  clients.push(client)
  return client
}

const resolve = (client: OriginClient, authorization?: string) =>
  client.resolveTag(scopeOf(origin, name, authorization), 'v1', always)
const tokens = () => origin.requestsFor(/^\/token/)
const headers = () => origin.requestsFor(/^\/v2/).map((one) => one.headers.authorization)

describe('Bearer tokens', () => {
  it('are fetched as nobody once, for the scope of the challenge, and used from the start afterwards', async () => {
    origin.auth = { kind: 'bearer', admits: () => true }
    const client = clientWith()
    await resolve(client)
    await resolve(client)
    expect(tokens()).toHaveLength(1)
    expect(new URLSearchParams(tokens()[0]?.url.split('?')[1]).get('scope')).toBe(`repository:${name}:pull`)
    expect(new URLSearchParams(tokens()[0]?.url.split('?')[1]).get('service')).toBe('fault-origin')
    expect(tokens()[0]?.headers.authorization).toBeUndefined()
    expect(headers().map((one) => one?.slice(0, 7))).toEqual([undefined, 'Bearer ', 'Bearer '])
  })

  it('are fetched once for many requests at the same moment', async () => {
    origin.auth = { kind: 'bearer', admits: () => true }
    const client = clientWith()
    await Promise.all(Array.from({ length: 20 }, () => resolve(client)))
    expect(tokens()).toHaveLength(1)
  })

  it('are fetched with the password of the agent, which the registry itself never sees', async () => {
    origin.auth = { kind: 'bearer', users }
    await resolve(clientWith(credentials(me)))
    expect(tokens()[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:pa:ss').toString('base64')}`)
    expect(headers().join()).not.toContain('Basic')
  })

  it('are fetched with an identity token by POST', async () => {
    origin.auth = { kind: 'bearer', refreshTokens: { refresh: 'me' } }
    await resolve(clientWith(credentials({ kind: 'identity-token', username: 'me', token: 'refresh' })))
    expect(tokens()[0]).toMatchObject({ method: 'POST', path: '/token' })
    expect(Object.fromEntries(new URLSearchParams(tokens()[0]?.body))).toEqual({
      grant_type: 'refresh_token',
      client_id: 'shoal',
      refresh_token: 'refresh',
      service: 'fault-origin',
      scope: `repository:${name}:pull`,
    })
  })

  it('of config.json are sent as they are', async () => {
    origin.inject({ fault: { kind: 'challenge', challenges: [`Bearer realm="${origin.url}/token"`] } })
    await resolve(clientWith(credentials({ kind: 'registry-token', token: 'fixed' })))
    expect(headers()).toEqual([undefined, 'Bearer fixed'])
    expect(tokens()).toHaveLength(0)
  })

  it('are fetched again when the registry does not take them any more', async () => {
    origin.auth = { kind: 'bearer', admits: () => true }
    const client = clientWith()
    await resolve(client)
    origin.expireTokens()
    await Promise.all(Array.from({ length: 10 }, () => resolve(client)))
    expect(tokens()).toHaveLength(2)
  })

  it('are fetched again before they expire, without being refused first', async () => {
    let now = 1_000
    origin.auth = { kind: 'bearer', admits: () => true, expiresIn: 100 }
    const client = clientWith(noCredentials, () => now)
    await resolve(client)
    now += 89_000
    await resolve(client)
    expect(tokens()).toHaveLength(1)
    now += 2_000
    await resolve(client)
    expect(tokens()).toHaveLength(2)
    expect(headers().filter((one) => one === undefined)).toHaveLength(1)
  })

  it('live a minute when they do not say', async () => {
    let now = 1_000
    origin.auth = { kind: 'bearer', admits: () => true }
    const client = clientWith(noCredentials, () => now)
    await resolve(client)
    now += 60_000
    await resolve(client)
    expect(tokens()).toHaveLength(2)
  })

  it('expire in the middle of a blob without harm', async () => {
    const bytes = Buffer.alloc(300_000, 5)
    const digest = origin.addBlob(bytes)
    origin.auth = { kind: 'bearer', admits: () => true, usesPerToken: 1 }
    origin.inject({
      fault: { kind: 'cut', after: 100_000 },
      match: { path: /blobs/, when: ({ headers }) => headers.authorization !== undefined },
    })
    const { bytes: body } = await clientWith()
      .blobSource(scopeOf(origin), digest)
      .open({ start: 0, end: undefined }, always)
    let length = 0
    for await (const part of body) length += part.length
    expect(length).toBe(bytes.length)
    expect(tokens()).toHaveLength(2)
  })

  it('are fetched for the Bearer challenge among others', async () => {
    const bearer = `Negotiate, Basic realm="b, c", BEARER Realm="${origin.url}/token"`
    origin.auth = { kind: 'bearer', admits: () => true }
    origin.inject({ fault: { kind: 'challenge', challenges: ['Digest realm="d"', bearer] } })
    expect(await resolve(clientWith())).toMatchObject({ mediaType: OCI_MANIFEST })
  })

  it.each<[string, ErrorCode]>([
    ['Negotiate', 'UNAUTHORIZED'],
    ['Bearer realm="nonsense"', 'ORIGIN_MISBEHAVED'],
    ['Bearer realm="file:///etc/passwd"', 'ORIGIN_MISBEHAVED'],
    ['Bearer realm="http://user:password@127.0.0.1/"', 'ORIGIN_MISBEHAVED'],
  ])('are not fetched for the challenge %s', async (challenge, code) => {
    origin.inject({ fault: { kind: 'challenge', challenges: [challenge] }, times: Infinity })
    await expect(resolve(clientWith())).rejects.toEqual(failure(code))
  })

  it('are not sent to a realm without TLS by a registry with it, nor to a metadata address', async () => {
    await using secure = await FaultOrigin.start({ tls: true })
    secure.addManifest(name, 'v1', '{}', OCI_MANIFEST)
    const client = clientFor([secure], { credentials: credentials(me, secure.registry) })
    clients.push(client)
    const ask = () => client.resolveTag(scopeOf(secure), 'v1', always)
    secure.auth = { kind: 'bearer', users, realm: `http://localhost:${origin.registry.split(':')[1]}/token` }
    await expect(ask()).rejects.toEqual(failure('ORIGIN_MISBEHAVED'))
    secure.auth = { kind: 'bearer', users, realm: 'https://169.254.169.254/token' }
    await expect(ask()).rejects.toEqual(failure('ADDRESS_NOT_ALLOWED'))
    expect(origin.requests).toHaveLength(0)
  })

  it('that cannot be had for want of the token server are an outage, tried a few times', async () => {
    origin.auth = { kind: 'bearer', admits: () => true }
    origin.inject({ fault: { kind: 'status', status: 503 }, match: { path: /^\/token/ }, times: Infinity })
    await expect(resolve(clientWith())).rejects.toEqual(failure('ORIGIN_UNAVAILABLE'))
    expect(tokens()).toHaveLength(3)
  })

  it.each(['', 'null', '[]', '{}', '{"token":""}', '{"token":"a\\nb"}', '{"token":5}'])(
    'are not made of %j',
    async (body) => {
      origin.auth = { kind: 'bearer', admits: () => true }
      origin.inject({ fault: { kind: 'status', status: 200, body }, match: { path: /^\/token/ }, times: Infinity })
      await expect(resolve(clientWith())).rejects.toEqual(failure('ORIGIN_MISBEHAVED'))
    },
  )

  it('reach neither another registry nor the target of a redirect', async () => {
    await using cdn = await FaultOrigin.start()
    origin.auth = { kind: 'bearer', users }
    const digest = origin.addBlob(Buffer.alloc(10))
    origin.redirectBlobsTo(cdn)
    const client = clientFor([origin, cdn], { credentials: credentials(me) })
    clients.push(client)
    const { bytes } = await client.blobSource(scopeOf(origin), digest).open({ start: 0, end: undefined }, always)
    for await (const part of bytes) expect(part).toHaveLength(10)
    cdn.addManifest(name, 'v1', '{}', OCI_MANIFEST)
    await client.resolveTag(scopeOf(cdn), 'v1', always)
    expect(cdn.requests).toHaveLength(2)
    expect(cdn.requests.map((one) => one.headers.authorization)).toEqual([undefined, undefined])
  })
})

describe('Basic credentials', () => {
  it('are sent after a challenge and from the start afterwards', async () => {
    origin.auth = { kind: 'basic', users }
    const client = clientWith(credentials(me))
    await resolve(client)
    await resolve(client)
    const basic = `Basic ${Buffer.from('me:pa:ss').toString('base64')}`
    expect(headers()).toEqual([undefined, basic, basic])
  })

  it('that are refused, or missing, end in UNAUTHORIZED without a Basic challenge', async () => {
    origin.auth = { kind: 'basic', users }
    const wrong = credentials({ kind: 'password', username: 'me', password: 'wrong' })
    for (const client of [clientWith(wrong), clientWith()]) {
      await expect(resolve(client)).rejects.toEqual(failure('UNAUTHORIZED', { challenge: undefined }))
    }
    expect(headers().length).toBeLessThanOrEqual(4)
  })

  it('stay away from a redirect that leaves the registry', async () => {
    await using cdn = await FaultOrigin.start()
    origin.auth = { kind: 'basic', users }
    const digest = origin.addBlob(Buffer.alloc(10))
    origin.redirectBlobsTo(cdn)
    await clientWith(credentials(me)).checkBlob(scopeOf(origin), digest, always)
    expect(cdn.requests[0]?.headers.authorization).toBeUndefined()
  })
})

describe('The final no of an origin', () => {
  it('carries its Bearer challenge', async () => {
    origin.auth = { kind: 'bearer', users }
    const challenge = `Bearer realm="${origin.url}/token",service="fault-origin",scope="repository:${name}:pull"`
    await expect(resolve(clientWith())).rejects.toEqual(failure('UNAUTHORIZED', { challenge }))
    expect(headers()).toHaveLength(2)
  })

  it('carries it too when the token server refuses the agent, which drops what a helper gave', async () => {
    origin.auth = { kind: 'bearer', users }
    const wrong = credentials({ kind: 'password', username: 'me', password: 'wrong' })
    await expect(resolve(clientWith(wrong))).rejects.toEqual(
      failure('UNAUTHORIZED', { challenge: expect.stringContaining('Bearer realm=') }),
    )
    expect(wrong.refusals).toBeGreaterThan(0)
  })

  it('is DENIED when the account is known but may not', async () => {
    origin.auth = { kind: 'bearer', users, admits: () => false }
    await expect(resolve(clientWith(credentials(me)))).rejects.toEqual(failure('DENIED'))
  })
})

describe("The client's own credentials", () => {
  it('are sent as they are, without fetching a token, and a 401 is final', async () => {
    origin.auth = { kind: 'bearer', users }
    await expect(resolve(clientWith(credentials(me)), 'Bearer of-the-client')).rejects.toEqual(
      failure('UNAUTHORIZED', { challenge: expect.stringContaining('Bearer realm=') }),
    )
    expect(headers()).toEqual(['Bearer of-the-client'])
    expect(tokens()).toHaveLength(0)
  })

  it('are not used for the next request', async () => {
    const client = clientWith()
    await resolve(client, 'Bearer of-the-client')
    await resolve(client)
    expect(headers()).toEqual(['Bearer of-the-client', undefined])
  })

  it('make an identity of their own that tells nothing', () => {
    const client = clientWith(credentials(me))
    const own = client.identity(scopeOf(origin, name, 'Bearer of-the-client'))
    expect(own).toEqual(client.identity(scopeOf(origin, 'other', 'Bearer of-the-client')))
    expect(own.kind).toBe('client')
    expect(own.key).not.toContain('of-the-client')
    expect(own.key).not.toBe(client.identity(scopeOf(origin, name, 'Bearer another')).key)
    expect(own.key).not.toBe(clientWith().identity(scopeOf(origin, name, 'Bearer of-the-client')).key)
    expect(client.identity(scopeOf(origin))).toEqual({ key: 'agent:account', kind: 'agent' })
    expect(clientWith().identity(scopeOf(origin))).toEqual({ key: 'anonymous', kind: 'anonymous' })
  })
})
