import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-type.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { randomBytesOf } from '../fixtures/random-bytes.ts'
import { TestAgent, type TestAgentInit } from '../fixtures/test-agent.ts'

const LAYER = randomBytesOf('layer', 300_000)
const CONFIG = Buffer.from('{"architecture":"amd64","os":"linux"}')

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

interface Image {
  readonly manifest: Digest
  readonly config: Digest
  readonly layer: Digest
}

function addImage(tag: string | undefined, note = '', repository = 'app', layerBytes: Buffer = LAYER): Image {
  const config = origin.addBlob(CONFIG, { repository })
  const layer = origin.addBlob(layerBytes, { repository })
  const document = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: CONFIG.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size: layerBytes.length }],
    annotations: { note },
  }
  return { manifest: origin.addManifest(repository, tag, JSON.stringify(document), OCI_MANIFEST), config, layer }
}

async function get(agent: TestAgent, path: string, init: RequestInit = {}): Promise<Response> {
  const answer = await fetch(agent.url(path), init)
  return answer
}

async function pullImage(agent: TestAgent, image: Image, repository = 'app'): Promise<void> {
  for (const path of [`manifests/${image.manifest}`, `blobs/${image.config}`, `blobs/${image.layer}`]) {
    const answer = await get(agent, `/v2/${repository}/${path}`)
    expect(answer.status).toBe(200)
    await answer.arrayBuffer()
  }
  await agent.idle()
}

describe('a tag', () => {
  it('is resolved at the origin each time', async () => {
    const agent = await startAgent()
    const first = addImage('v1', 'first')
    const head = await get(agent, '/v2/app/manifests/v1', { method: 'HEAD' })
    expect(head.headers.get('docker-content-digest')).toBe(first.manifest)
    expect(head.headers.get('content-type')).toBe(OCI_MANIFEST)
    const second = addImage('v1', 'second')
    const again = await get(agent, '/v2/app/manifests/v1')
    expect(again.headers.get('docker-content-digest')).toBe(second.manifest)
    expect(await again.json()).toMatchObject({ annotations: { note: 'second' } })
    expect(origin.requestsFor(/manifests\/v1/, 'HEAD')).toHaveLength(2)
  })

  it('is asked for once for many clients at the same time', async () => {
    const agent = await startAgent()
    addImage('v1')
    const hang = origin.inject({ fault: { kind: 'hang' }, match: { path: /manifests\/v1/ } })
    const asked = Array.from({ length: 20 }, () => get(agent, '/v2/app/manifests/v1', { method: 'HEAD' }))
    await origin.until(() => hang.hits > 0)
    hang.release()
    for (const answer of await Promise.all(asked)) expect(answer.status).toBe(200)
    expect(origin.requestsFor(/manifests\/v1/).length).toBeLessThan(20)
  })

  it.each([
    ['is unreachable', () => origin.goOffline()],
    ['answers 503', () => fail(503)],
    ['answers 429', () => fail(429)],
  ])('answers with its last digest when the origin %s, and says so', async (_, breakOrigin) => {
    const agent = await startAgent()
    const image = addImage('v1')
    await (await get(agent, '/v2/app/manifests/v1')).arrayBuffer()
    await pullImage(agent, image)
    await breakOrigin()
    const answer = await get(agent, '/v2/app/manifests/v1')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('docker-content-digest')).toBe(image.manifest)
    expect(answer.headers.get('cache-status')).toMatch(/^shoal; hit; ttl=-\d+; detail=origin-unreachable$/)
    await pullImage(agent, image)
  })

  it('is what the mirror has now, though a name that it lacks has just shown that the registry is out', async () => {
    const registries = { 'registry.invalid': { mirrors: [origin.url] } }
    const agent = await startAgent({ origin: { default: 'registry.invalid', registries } })
    const first = addImage('v1', 'first')
    await (await get(agent, '/v2/app/manifests/v1')).arrayBuffer()
    await pullImage(agent, first)
    const second = addImage('v1', 'second')
    const misspelt = await get(agent, '/v2/apq/manifests/v1')
    expect(misspelt.status).toBe(503)
    const why = `the mirror ${origin.registry} has no such image, and registry.invalid cannot be reached`
    expect(await misspelt.text()).toContain(why)
    const answer = await get(agent, '/v2/app/manifests/v1')
    expect(answer.headers.get('docker-content-digest')).toBe(second.manifest)
    await pullImage(agent, second)
    await origin.goOffline()
    const stale = await get(agent, '/v2/app/manifests/v1')
    expect(stale.headers.get('docker-content-digest')).toBe(second.manifest)
    expect(stale.headers.get('cache-status')).toContain('origin-unreachable')
  })

  it('answers after a restart of the agent without the origin too', async () => {
    const agent = await startAgent()
    const image = addImage('v1')
    await (await get(agent, '/v2/app/manifests/v1')).arrayBuffer()
    await pullImage(agent, image)
    await origin.goOffline()
    await agent.restart()
    const answer = await get(agent, '/v2/app/manifests/v1')
    expect(answer.headers.get('docker-content-digest')).toBe(image.manifest)
    await pullImage(agent, image)
  })

  it('does not answer without the origin when that was too long ago', async () => {
    const agent = await startAgent({ origin: { serveStale: '1ms' } })
    const image = addImage('v1')
    await (await get(agent, '/v2/app/manifests/v1')).arrayBuffer()
    await pullImage(agent, image)
    await origin.goOffline()
    expect((await get(agent, '/v2/app/manifests/v1')).status).toBe(503)
  })

  it('of an image that is not complete here is 503 without the origin, so that clients go elsewhere', async () => {
    const agent = await startAgent()
    addImage('v1')
    await (await get(agent, '/v2/app/manifests/v1')).arrayBuffer()
    await origin.goOffline()
    expect((await get(agent, '/v2/app/manifests/v1')).status).toBe(503)
    expect((await get(agent, '/v2/app/manifests/v1', { method: 'HEAD' })).status).toBe(503)
  })

  it('that the origin no longer has is gone, now and when the origin is down later', async () => {
    const agent = await startAgent()
    const image = addImage('v1')
    await (await get(agent, '/v2/app/manifests/v1')).arrayBuffer()
    await pullImage(agent, image)
    origin.removeTag('app', 'v1')
    expect((await get(agent, '/v2/app/manifests/v1')).status).toBe(404)
    await origin.goOffline()
    expect((await get(agent, '/v2/app/manifests/v1')).status).toBe(503)
  })

  async function fail(status: number): Promise<void> {
    origin.inject({ fault: { kind: 'status', status }, times: 1000 })
  }
})

describe('manifests', () => {
  it('keep the exact media type and bytes, of whatever kind they are, also after a restart', async () => {
    const agent = await startAgent()
    const kinds: [string, string][] = [
      [DOCKER_MANIFEST, '{"schemaVersion":2,"config":{},"layers":[]}'],
      [OCI_INDEX, '{"schemaVersion":2,"manifests":[]}'],
      ['application/vnd.example.thing.v1+json', '{"anything":[1,2,3]}'],
    ]
    for (const [mediaType, text] of kinds) {
      const digest = origin.addManifest('app', undefined, text, mediaType)
      for (const round of ['cold', 'held']) {
        const answer = await get(agent, `/v2/app/manifests/${digest}`)
        expect([round, answer.status, answer.headers.get('content-type')]).toEqual([round, 200, mediaType])
        expect(await answer.text()).toBe(text)
      }
      await agent.restart()
      const answer = await get(agent, `/v2/app/manifests/${digest}`)
      expect(answer.headers.get('content-type')).toBe(mediaType)
    }
    expect(origin.requestsFor(/manifests/, 'GET')).toHaveLength(kinds.length)
  })

  it('with wrong bytes are never handed on', async () => {
    const agent = await startAgent()
    const image = addImage('v1')
    origin.inject({ fault: { kind: 'corrupt', at: 5 }, match: { path: /manifests/, method: 'GET' }, times: 100 })
    const answer = await get(agent, `/v2/app/manifests/${image.manifest}`)
    expect(answer.status).toBeGreaterThanOrEqual(500)
  })

  it('of sha512 come through verified', async () => {
    const agent = await startAgent()
    const text = '{"schemaVersion":2,"manifests":[]}'
    const digest = origin.addManifest('app', undefined, text, OCI_INDEX, 'sha512')
    expect(await (await get(agent, `/v2/app/manifests/${digest}`)).text()).toBe(text)
    expect(await (await get(agent, `/v2/app/manifests/${digest}`)).text()).toBe(text)
  })
})

describe('access', () => {
  const ann = `Basic ${Buffer.from('ann:secret').toString('base64')}`
  const bob = `Basic ${Buffer.from('bob:hidden').toString('base64')}`

  function makePrivate(): void {
    origin.auth = {
      kind: 'basic',
      users: { ann: 'secret', bob: 'hidden' },
      admits: (user, repository) => user === 'ann' || repository === 'public',
    }
  }

  async function pullAs(agent: TestAgent, path: string, authorization: string | undefined): Promise<number> {
    const answer = await get(agent, path, { headers: authorization === undefined ? {} : { authorization } })
    await answer.arrayBuffer()
    return answer.status
  }

  it('to content that one client pulled is refused to clients that the origin refuses', async () => {
    const agent = await startAgent()
    const image = addImage('v1', '', 'secret')
    makePrivate()
    for (const path of [`manifests/v1`, `manifests/${image.manifest}`, `blobs/${image.layer}`]) {
      expect(await pullAs(agent, `/v2/secret/${path}`, ann)).toBe(200)
    }
    await agent.idle()
    for (const path of [`manifests/v1`, `manifests/${image.manifest}`, `blobs/${image.layer}`]) {
      for (const who of [bob, undefined, `Basic ${Buffer.from('ann:wrong').toString('base64')}`]) {
        expect([401, 403, 404]).toContain(await pullAs(agent, `/v2/secret/${path}`, who))
      }
      expect(await pullAs(agent, `/v2/secret/${path}`, ann)).toBe(200)
    }
  })

  it('is refused to a blob asked for through another repository', async () => {
    const agent = await startAgent()
    const image = addImage('v1', '', 'secret')
    addImage('v1', '', 'public', randomBytesOf('other', 1000))
    makePrivate()
    expect(await pullAs(agent, `/v2/secret/manifests/v1`, ann)).toBe(200)
    expect(await pullAs(agent, `/v2/secret/blobs/${image.layer}`, ann)).toBe(200)
    await agent.idle()
    expect(await pullAs(agent, '/v2/public/manifests/v1', bob)).toBe(200)
    expect(await pullAs(agent, `/v2/public/blobs/${image.layer}`, bob)).toBe(404)
    expect(await pullAs(agent, `/v2/public/manifests/${image.manifest}`, bob)).toBe(404)
  })

  it('is refused while another client’s pull of the same blob runs', async () => {
    const agent = await startAgent()
    const image = addImage('v1', '', 'secret', randomBytesOf('big', 9_000_000))
    makePrivate()
    const hang = origin.inject({ fault: { kind: 'hang-body', after: 4_000_000 }, match: { path: /blobs/ } })
    const running = get(agent, `/v2/secret/blobs/${image.layer}`, { headers: { authorization: ann } })
    await (await running).body?.getReader().read()
    expect([401, 403, 404]).toContain(await pullAs(agent, `/v2/secret/blobs/${image.layer}`, bob))
    hang.release()
  })

  it('that was taken away is noticed when the answer is no longer fresh', async () => {
    const agent = await startAgent({ origin: { rememberAccess: '1ms' } })
    const image = addImage('v1', '', 'secret')
    makePrivate()
    expect(await pullAs(agent, `/v2/secret/blobs/${image.layer}`, ann)).toBe(200)
    await agent.idle()
    origin.auth = { kind: 'basic', users: { ann: 'changed' } }
    expect([401, 403, 404]).toContain(await pullAs(agent, `/v2/secret/blobs/${image.layer}`, ann))
  })

  it('without the origin is for those it admitted, and for nobody else', async () => {
    const agent = await startAgent()
    const image = addImage('v1', '', 'secret')
    makePrivate()
    for (const path of [`manifests/v1`, `blobs/${image.config}`, `blobs/${image.layer}`]) {
      expect(await pullAs(agent, `/v2/secret/${path}`, ann)).toBe(200)
    }
    await agent.idle()
    await origin.goOffline()
    expect(await pullAs(agent, `/v2/secret/manifests/v1`, ann)).toBe(200)
    expect(await pullAs(agent, `/v2/secret/blobs/${image.layer}`, ann)).toBe(200)
    expect(await pullAs(agent, `/v2/secret/manifests/v1`, bob)).toBe(503)
    expect(await pullAs(agent, `/v2/secret/blobs/${image.layer}`, undefined)).toBe(404)
  })

  it('leaves nothing of a client’s credentials on disk', async () => {
    const agent = await startAgent()
    addImage('v1', '', 'secret')
    makePrivate()
    expect(await pullAs(agent, `/v2/secret/manifests/v1`, ann)).toBe(200)
    await origin.goOffline()
    await agent.restart()
    expect(await pullAs(agent, `/v2/secret/manifests/v1`, ann)).toBe(503)
  })
})

describe('what is passed through', () => {
  it('pages through tags with the registry and repository that the client named', async () => {
    const agent = await startAgent({ origin: { default: 'elsewhere.test' } })
    for (const tag of ['a', 'b', 'c']) addImage(tag)
    const seen: string[] = []
    let next: string | undefined = `/v2/app/tags/list?n=2&ns=${encodeURIComponent(origin.registry)}`
    while (next !== undefined) {
      const answer: Response = await get(agent, next)
      seen.push(...((await answer.json()) as { tags: string[] }).tags)
      next = /<([^>]+)>/.exec(answer.headers.get('link') ?? '')?.[1]
    }
    expect(seen).toEqual(['a', 'b', 'c'])
  })

  it('lists the catalog', async () => {
    const agent = await startAgent()
    addImage('v1')
    expect(await (await get(agent, '/v2/_catalog')).json()).toEqual({ repositories: ['app'] })
  })

  it('finds referrers by the API, by the fallback tag, or answers with an empty index', async () => {
    const agent = await startAgent()
    const image = addImage('v1')
    const url = `/v2/app/referrers/${image.manifest}`
    const subject = { digest: image.manifest, size: 1, mediaType: OCI_MANIFEST }
    const signature = { schemaVersion: 2, artifactType: 'test/signature', subject, config: {}, layers: [] }
    const bytes = JSON.stringify(signature)
    const digest = origin.addManifest('app', undefined, bytes, OCI_MANIFEST)
    const native = await get(agent, url)
    expect(native.headers.get('content-type')).toBe(OCI_INDEX)
    expect(await native.json()).toMatchObject({ manifests: [{ digest }] })

    origin.referrersApi = false
    expect(await (await get(agent, url)).json()).toMatchObject({ manifests: [] })
    const entry = { mediaType: OCI_MANIFEST, digest, size: bytes.length, artifactType: 'test/signature' }
    const fallback = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] })
    origin.addManifest('app', image.manifest.replace(':', '-'), fallback, OCI_INDEX)
    expect(await (await get(agent, url)).json()).toMatchObject({ manifests: [{ digest }] })
    const filtered = await get(agent, `${url}?artifactType=test/other`)
    expect(filtered.headers.get('oci-filters-applied')).toBe('artifactType')
    expect(await filtered.json()).toMatchObject({ manifests: [] })
  })
})

describe('which registry is meant', () => {
  it('is told by ns, by the first path element with a port, or by the default', async () => {
    const agent = await startAgent({ origin: { default: 'elsewhere.test' } })
    const image = addImage('v1')
    const [host, port] = origin.registry.split(':')
    for (const path of [
      `/v2/app/manifests/v1?ns=${encodeURIComponent(origin.registry)}`,
      `/v2/${origin.registry}/app/manifests/v1`,
      `/v2/${host}_${port}/app/manifests/v1`,
    ]) {
      const answer = await get(agent, path)
      expect([path, answer.headers.get('docker-content-digest')]).toEqual([path, image.manifest])
    }
  })

  it('is refused when it is not allowed', async () => {
    const agent = await startAgent({ origin: { allow: ['*.example.com'] } })
    addImage('v1')
    const answer = await get(agent, '/v2/app/manifests/v1')
    expect(answer.status).toBe(404)
    expect(origin.requests).toHaveLength(0)
  })

  it('is refused when it is a link-local address', async () => {
    const agent = await startAgent()
    const answer = await get(agent, '/v2/latest/meta-data/manifests/v1?ns=169.254.169.254')
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ errors: [{ detail: { reason: 'ADDRESS_NOT_ALLOWED' } }] })
  })
})
