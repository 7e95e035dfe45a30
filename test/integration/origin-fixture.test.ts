import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DOCKER_MANIFEST } from '../../src/oci/media-type.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'

describe('FaultOrigin', () => {
  let origin: FaultOrigin

  beforeEach(async () => {
    origin = await FaultOrigin.start()
  })

  afterEach(async () => {
    await origin.close()
  })

  it('serves blobs with ranges and counts what it sent', async () => {
    const digest = origin.addBlob(Buffer.from('0123456789'))
    const answer = await fetch(`${origin.url}/v2/a/b/blobs/${digest}`, { headers: { range: 'bytes=2-4' } })
    expect([answer.status, answer.headers.get('content-range'), await answer.text()]).toEqual([
      206,
      'bytes 2-4/10',
      '234',
    ])
    expect(origin.egressBytes(/blobs/)).toBe(3)
  })

  it('serves manifests by tag and pages through tags', async () => {
    const digest = origin.addManifest('a/b', 'v1', '{}', DOCKER_MANIFEST)
    origin.tag('a/b', 'v2', digest)
    const head = await fetch(`${origin.url}/v2/a/b/manifests/v1`, { method: 'HEAD' })
    expect(head.headers.get('docker-content-digest')).toBe(digest)
    expect(head.headers.get('content-length')).toBe('2')
    const page = await fetch(`${origin.url}/v2/a/b/tags/list?n=1`)
    expect(await page.json()).toEqual({ name: 'a/b', tags: ['v1'] })
    expect(page.headers.get('link')).toBe('</v2/a/b/tags/list?n=1&last=v1>; rel="next"')
  })

  it('gives a token for the asked scope only', async () => {
    origin.auth = { kind: 'bearer', admits: () => true }
    origin.addManifest('a/b', 'v1', '{}', DOCKER_MANIFEST)
    const refused = await fetch(`${origin.url}/v2/a/b/manifests/v1`)
    expect(refused.headers.get('www-authenticate')).toContain('scope="repository:a/b:pull"')
    const { token } = (await (await fetch(`${origin.url}/token?scope=repository:a/b:pull`)).json()) as { token: string }
    const headers = { authorization: `Bearer ${token}` }
    expect((await fetch(`${origin.url}/v2/a/b/manifests/v1`, { headers })).status).toBe(200)
    expect((await fetch(`${origin.url}/v2/a/c/manifests/v1`, { headers })).status).toBe(401)
  })

  it('cuts a body after the given byte and is whole again afterwards', async () => {
    const digest = origin.addBlob(Buffer.alloc(1000, 1))
    origin.inject({ fault: { kind: 'cut', after: 100 }, match: { path: /blobs/ } })
    const get = async (): Promise<number> =>
      (await (await fetch(`${origin.url}/v2/a/b/blobs/${digest}`)).arrayBuffer()).byteLength
    await expect(get()).rejects.toThrow()
    expect(origin.egressBytes()).toBe(100)
    expect(await get()).toBe(1000)
  })

  it('holds a request until it is released', async () => {
    const hang = origin.inject({ fault: { kind: 'hang' } })
    const answer = fetch(`${origin.url}/v2/`)
    await origin.until(() => hang.hits === 1)
    hang.release()
    expect((await answer).status).toBe(200)
  })

  it('redirects to a signed URL that expires and takes no Authorization', async () => {
    await using cdn = await FaultOrigin.start()
    const digest = origin.addBlob(Buffer.from('layer'))
    origin.redirectBlobsTo(cdn, { uses: 1 })
    const first = await fetch(`${origin.url}/v2/a/b/blobs/${digest}`)
    expect(await first.text()).toBe('layer')
    expect((await fetch(first.url)).status).toBe(403)
    const again = await fetch(`${origin.url}/v2/a/b/blobs/${digest}`, { redirect: 'manual' })
    const location = again.headers.get('location') ?? ''
    expect((await fetch(location, { headers: { authorization: 'Bearer x' } })).status).toBe(400)
  })

  it('refuses connections while offline and comes back on the same port', async () => {
    await origin.goOffline()
    await expect(fetch(`${origin.url}/v2/`)).rejects.toThrow()
    await origin.goOnline()
    expect((await fetch(`${origin.url}/v2/`)).status).toBe(200)
  })
})
