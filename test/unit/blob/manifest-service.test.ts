import { describe, expect, it, vi } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-type.ts'
import { digestOfBytes, image, index, manifestWorld, never, scopeOf } from './manifest-world.ts'

const APP = image(['config', 'layer'])

describe('a manifest that peers have', () => {
  it('is taken from them when the origin has just resolved its tag, and is stored and announced', async () => {
    const { manifests, origin, publish, share, store, swarm } = manifestWorld({ headStartMs: 60_000 })
    publish(APP, 'v1')
    share(APP, [])
    const answer = await manifests.get(scopeOf(), { tag: 'v1' }, never)
    expect(answer).toMatchObject({ digest: APP.digest, bytes: APP.bytes, mediaType: OCI_MANIFEST, stale: undefined })
    expect(origin.asked).toEqual(['tag v1'])
    await manifests.stop()
    expect(store.stat(APP.digest)?.size).toBe(APP.bytes.length)
    expect(swarm.announced).toEqual([APP.digest])
    expect(swarm.announcedTags).toEqual(['v1'])
  })

  it('is given by digest only after the origin was asked, and with its word alone', async () => {
    const { manifests, origin, publish, share, store } = manifestWorld({ headStartMs: 60_000 })
    share(APP, [])
    await expect(manifests.get(scopeOf(), { digest: APP.digest }, never)).rejects.toMatchObject({
      code: 'MANIFEST_UNKNOWN',
    })
    expect(store.stat(APP.digest)).toBeUndefined()
    publish(APP)
    expect((await manifests.get(scopeOf(), { digest: APP.digest }, never)).bytes).toEqual(APP.bytes)
    expect(origin.asked).toEqual([`head ${APP.digest}`, `head ${APP.digest}`])
  })

  it('is refused to whom the origin refuses it, although another client has it', async () => {
    const { manifests, origin, publish, share } = manifestWorld({ headStartMs: 60_000 })
    publish(APP)
    share(APP, [])
    await manifests.get(scopeOf('ann'), { digest: APP.digest }, never)
    origin.error = new ShoalError('DENIED', 'no')
    await expect(manifests.get(scopeOf('bob'), { digest: APP.digest }, never)).rejects.toMatchObject({ code: 'DENIED' })
  })

  it('is not believed to be what its digest does not say', async () => {
    const { manifests, publish, swarm, store } = manifestWorld()
    publish(APP)
    swarm.small.set(APP.digest, Buffer.from('something else'))
    expect((await manifests.get(scopeOf(), { digest: APP.digest }, never)).bytes).toEqual(APP.bytes)
    await manifests.stop()
    expect(store.stat(APP.digest)?.size).toBe(APP.bytes.length)
  })

  it('is given when the origin sends wrong bytes', async () => {
    const { manifests, origin, publish, share } = manifestWorld({ headStartMs: 0 })
    publish(APP)
    share(APP, [])
    const wrong = new ShoalError('DIGEST_MISMATCH', 'wrong')
    origin.fetchManifest = async () => {
      throw wrong
    }
    expect((await manifests.get(scopeOf(), { digest: APP.digest }, never)).bytes).toEqual(APP.bytes)
  })

  it('ends the request to the origin when it comes first, and is let go when it comes too late', async () => {
    const { manifests, origin, publish, swarm } = manifestWorld({ headStartMs: 0 })
    publish(APP, 'v1')
    await manifests.head(scopeOf(), { tag: 'v1' }, never)
    const late = Promise.withResolvers<Buffer>()
    let toPeers: AbortSignal | undefined
    swarm.fetchSmall = async (_blob, { signal }) => {
      toPeers = signal
      return await late.promise
    }
    await manifests.get(scopeOf('ann'), { digest: APP.digest }, never)
    expect(toPeers?.aborted).toBe(true)

    const other = image(['other'])
    publish(other, 'v2')
    await manifests.head(scopeOf(), { tag: 'v2' }, never)
    origin.isHanging = true
    const asked = manifests.get(scopeOf(), { digest: other.digest }, never)
    await vi.waitUntil(() => origin.asked.includes(`get ${other.digest}`))
    expect(origin.aborted).toBe(0)
    late.resolve(other.bytes)
    expect((await asked).bytes).toEqual(other.bytes)
    expect(origin.aborted).toBe(1)
  })

  it('is fetched from the origin where a registry knows no HEAD', async () => {
    const { manifests, origin, publish, share } = manifestWorld({ headStartMs: 60_000 })
    publish(APP)
    share(APP, [])
    origin.checkManifest = async () => {
      throw new ShoalError('ORIGIN_MISBEHAVED', 'no HEAD here')
    }
    expect((await manifests.get(scopeOf(), { digest: APP.digest }, never)).bytes).toEqual(APP.bytes)
    expect(origin.asked).toEqual([`get ${APP.digest}`])
  })

  it('has the media type that the registry states, never one that a peer says', async () => {
    const { manifests, publish, share, origin, swarm, now } = manifestWorld({ headStartMs: 60_000 })
    const bytes = Buffer.from('{"anything":1}')
    const strange = { digest: digestOfBytes(bytes), bytes, mediaType: 'application/vnd.example.thing' }
    publish(strange)
    share(strange, [], { tag: 'v1', at: now() })
    expect(await manifests.get(scopeOf(), { digest: strange.digest }, never)).toMatchObject(strange)
    const another = manifestWorld()
    another.origin.goDown()
    another.share(strange, [], { tag: 'v1', at: now() })
    another.swarm.admissions.set('anonymous', now())
    expect(await another.manifests.head(scopeOf(), { tag: 'v1' }, never)).toMatchObject({ mediaType: OCI_MANIFEST })
    expect([origin.asked, swarm.askedFor('small')]).toEqual([[`head ${strange.digest}`], [`small ${strange.digest}`]])
  })

  it('is asked for once, however many clients want it', async () => {
    const { manifests, publish, share, swarm } = manifestWorld({ headStartMs: 60_000 })
    publish(APP, 'v1')
    share(APP, [])
    await manifests.head(scopeOf(), { tag: 'v1' }, never)
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => manifests.get(scopeOf(), { digest: APP.digest }, never)),
    )
    expect(answers.every(({ bytes }) => bytes.equals(APP.bytes))).toBe(true)
    expect(swarm.askedFor('small')).toHaveLength(1)
  })

  it('opens another registry’s name only if a peer gives it in that name', async () => {
    const { manifests, publish, share, access } = manifestWorld({ trusted: [] })
    publish(APP, 'v1')
    share(APP, [])
    expect(access.mayVouch('named.test', APP.digest)).toBe(false)
    await manifests.get(scopeOf(), { tag: 'v1' }, never)
    expect(access.mayVouch('named.test', APP.digest)).toBe(true)
    expect(access.mayVouch('other.test', APP.digest)).toBe(false)
  })
})

describe('a swarm that does not help', () => {
  it.each([
    ['never answers', { isSilent: true }],
    ['fails', { isBroken: true }],
    ['has nobody', { hasPeers: false }],
    ['has nothing', {}],
  ])('and %s costs no more than the head start', async (_name, state) => {
    const { manifests, publish, swarm, store } = manifestWorld({ headStartMs: 5 })
    Object.assign(swarm, state)
    publish(APP, 'v1')
    expect((await manifests.get(scopeOf(), { tag: 'v1' }, never)).bytes).toEqual(APP.bytes)
    await manifests.stop()
    expect(store.stat(APP.digest)).toBeDefined()
    expect(swarm.announced).toEqual([APP.digest])
  })

  it('is not waited for when the client leaves', async () => {
    const { manifests, origin, swarm } = manifestWorld({ headStartMs: 5 })
    swarm.isSilent = true
    origin.isHanging = true
    const leaving = new AbortController()
    const asked = manifests.get(scopeOf(), { digest: APP.digest }, leaving)
    await vi.waitUntil(() => origin.asked.length === 1)
    leaving.abort(new Error('left'))
    await expect(asked).rejects.toThrow('left')
  })
})

describe('an image without its origin', () => {
  const shared = { tag: 'v1', at: 999_990_000 }

  it('is had from peers by tag, marked stale, on an agent that never saw it', async () => {
    const { manifests, origin, share, swarm, now } = manifestWorld()
    origin.goDown()
    share(APP, ['config', 'layer'], shared)
    swarm.admissions.set('anonymous', now() - 1_000)
    for (const method of ['head', 'get'] as const) {
      const answer = await manifests[method](scopeOf(), { tag: 'v1' }, never)
      expect(answer).toMatchObject({ digest: APP.digest, mediaType: OCI_MANIFEST, stale: { ageSeconds: 10 } })
    }
    expect((await manifests.get(scopeOf(), { digest: APP.digest }, never)).bytes).toEqual(APP.bytes)
    expect(swarm.askedFor('tag')).toHaveLength(1)
    expect(swarm.askedFor('admission')).toEqual(['admission anonymous'])
  })

  it('is had by digest when a peer knows it to be in the repository, and else is not', async () => {
    const { manifests, origin, share, swarm, now } = manifestWorld()
    origin.goDown()
    share(APP, ['config', 'layer'])
    swarm.admissions.set('anonymous', now())
    const other = image(['layer'])
    share(other, ['layer'])
    swarm.links.add(APP.digest)
    expect((await manifests.get(scopeOf(), { digest: APP.digest }, never)).bytes).toEqual(APP.bytes)
    await expect(manifests.get(scopeOf(), { digest: other.digest }, never)).rejects.toMatchObject({
      code: 'ORIGIN_UNAVAILABLE',
    })
  })

  it('is refused when nobody of its like was admitted, or too long ago, or in the future', async () => {
    for (const at of [undefined, 1_000_000_000 - 2 * 24 * 60 * 60 * 1000, 1_000_000_000 + 60 * 60 * 1000]) {
      const { manifests, origin, share, swarm } = manifestWorld()
      origin.goDown()
      share(APP, ['config', 'layer'], shared)
      if (at !== undefined) swarm.admissions.set('anonymous', at)
      await expect(manifests.get(scopeOf(), { tag: 'v1' }, never)).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
    }
  })

  it('is not answered unless everything for this platform can be had', async () => {
    const { manifests, origin, share, swarm, now } = manifestWorld()
    origin.goDown()
    share(APP, ['config'], shared)
    swarm.admissions.set('anonymous', now())
    await expect(manifests.get(scopeOf(), { tag: 'v1' }, never)).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
  })

  it('is had through an index of which some is here and some is with peers', async () => {
    const { manifests, origin, publish, share, swarm, store, access } = manifestWorld()
    const all = index([image(['nowhere']), APP])
    publish(all, 'v1')
    await manifests.get(scopeOf(), { tag: 'v1' }, never)
    origin.goDown()
    share(APP, ['layer'])
    const config = Buffer.from('config')
    await store.put(digestOfBytes(config), config)
    const answer = await manifests.get(scopeOf(), { tag: 'v1' }, never)
    expect(answer).toMatchObject({ digest: all.digest, mediaType: OCI_INDEX })
    expect((await manifests.get(scopeOf(), { digest: APP.digest }, never)).bytes).toEqual(APP.bytes)
    expect(access.isLinked(scopeOf().repository, digestOfBytes(config))).toBe(true)
    expect(swarm.askedFor('link')).toEqual([])
  })

  it('opens no content by listing it when the origin can be asked again', async () => {
    const { manifests, access, origin, publish, share, swarm, now, pass } = manifestWorld()
    origin.goDown()
    share(APP, ['config', 'layer'], shared)
    swarm.admissions.set('anonymous', now())
    await manifests.get(scopeOf(), { tag: 'v1' }, never)
    const layer = digestOfBytes(Buffer.from('layer'))
    const principal = access.principal(scopeOf())
    expect(await access.ensure(principal, layer, 'blob', never)).toBe('outage')
    pass(20_000)
    origin.error = undefined
    publish(APP, 'v1')
    await manifests.get(scopeOf(), { tag: 'v1' }, never)
    expect([access.isKnown(principal, APP.digest), access.isKnown(principal, layer)]).toEqual([true, false])
    origin.error = new ShoalError('BLOB_UNKNOWN', 'not in this repository')
    await expect(access.ensure(principal, layer, 'blob', never)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  })

  it('opens nothing that the manifest says to be elsewhere', async () => {
    const { manifests, access, origin, share, swarm, now } = manifestWorld()
    const foreign = image(['secret'], { urls: ['https://elsewhere.test/secret'] })
    origin.goDown()
    share(foreign, ['secret'], shared)
    swarm.admissions.set('anonymous', now())
    await expect(manifests.get(scopeOf(), { tag: 'v1' }, never)).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
    expect(access.isLinked(scopeOf().repository, digestOfBytes(Buffer.from('secret')))).toBe(false)
  })
})
