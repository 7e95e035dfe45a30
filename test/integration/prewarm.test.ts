/** Images brought in ahead of the pulls: by agents in this process, from a registry that does what it is told. */
import { describe, expect, it, vi } from 'vitest'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { Fleet } from '../fixtures/fleet.ts'
import { buildImage, hostPlatform } from '../fixtures/image.ts'
import { eventsOf, prewarm, publish } from '../fixtures/prewarm.ts'
import { pullImage } from '../fixtures/pull.ts'
import { TestAgent } from '../fixtures/test-agent.ts'

const SOON = { timeout: 10_000, interval: 20 }
const OTHER = hostPlatform() === 'linux/arm64' ? 'linux/amd64' : 'linux/arm64'

const single = await buildImage({ seed: 'prewarm', layerBytes: [600_000, 5_000] })
const multi = await buildImage({
  seed: 'prewarm index',
  layerBytes: [300_000],
  platforms: [hostPlatform(), OTHER],
})

async function setUp(swarm?: object) {
  const stack = new AsyncDisposableStack()
  const origin = stack.use(await FaultOrigin.start())
  const agent = stack.use(await TestAgent.start({ origins: [origin.registry], ...(swarm && { swarm }) }))
  return { origin, agent, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

describe('a prewarm on one host', () => {
  it('brings an image in by tag, and says what came from where; afterwards it is served without the registry', async () => {
    await using world = await setUp()
    const { origin, agent } = world
    publish(origin, single)
    const events = await prewarm(agent.adminUrl('/api/prewarm?image=app:v1'))
    const blobs = [single.own.config, ...single.own.layers.map(({ digest }) => digest)]
    expect(eventsOf(events, 'image')).toMatchObject([{ image: 'app:v1', digest: single.digest }])
    const outcomes = new Map(eventsOf(events, 'layer').map(({ digest, outcome }) => [digest, outcome]))
    expect(outcomes).toEqual(new Map(blobs.map((digest) => [digest, 'fetched'])))
    const bytes = [...single.blobs.values()].reduce((sum, blob) => sum + blob.length, 0)
    expect(eventsOf(events, 'image-done')).toMatchObject([{ ok: true, totalBytes: bytes, fromOrigin: bytes }])
    expect(events.at(-1)).toMatchObject({ type: 'done', ok: true, images: 1, failedImages: 0, hosts: 0 })
    expect(await agent.storedDigests()).toEqual(expect.arrayContaining([...blobs, single.digest]))
    await origin.goOffline()
    await expect(pullImage({ facade: agent.facade }, 'app', 'v1')).resolves.toMatchObject({ config: single.own.config })
  })

  it('brings it in by digest, and finds it here the second time', async () => {
    await using world = await setUp()
    const { origin, agent } = world
    publish(origin, single)
    const name = `image=${encodeURIComponent(`${origin.registry}/app@${single.digest}`)}`
    const first = await prewarm(agent.adminUrl(`/api/prewarm?${name}`))
    expect(first.at(-1)).toMatchObject({ ok: true })
    const before = origin.egressBytes(/blobs/)
    const second = await prewarm(agent.adminUrl(`/api/prewarm?${name}`))
    expect(eventsOf(second, 'layer').map(({ outcome }) => outcome)).toEqual(['here', 'here', 'here'])
    expect(origin.egressBytes(/blobs/)).toBe(before)
  })

  it.each([
    ['', [hostPlatform()]],
    [`&platform=${OTHER}`, [OTHER]],
    [`&platform=${OTHER}&platform=${hostPlatform()}`, [OTHER, hostPlatform()]],
    ['&platform=all', [hostPlatform(), OTHER]],
  ])('of an index it brings in what is asked for: %s', async (query, wanted) => {
    await using world = await setUp()
    const { origin, agent } = world
    publish(origin, multi)
    const events = await prewarm(agent.adminUrl(`/api/prewarm?image=app:v1${query}`))
    expect(events.at(-1)).toMatchObject({ ok: true })
    expect(eventsOf(events, 'image')[0]?.platforms).toEqual(wanted)
    const stored = await agent.storedDigests()
    for (const { platform, layers, config } of multi.platforms) {
      const isWanted = wanted.includes(platform)
      expect([config, ...layers.map(({ digest }) => digest)].every((digest) => stored.includes(digest))).toBe(isWanted)
    }
  })

  it('names the platforms there are when there is none for the one asked for', async () => {
    await using world = await setUp()
    publish(world.origin, multi)
    const events = await prewarm(world.agent.adminUrl('/api/prewarm?image=app:v1&platform=linux/s390x'))
    expect(eventsOf(events, 'image-done')).toMatchObject([{ ok: false, message: expect.stringContaining(OTHER) }])
    expect(events.at(-1)).toMatchObject({ ok: false, failedImages: 1 })
  })

  it('names a blob that cannot be had, and brings in the others, also of the next image', async () => {
    await using world = await setUp()
    const { origin, agent } = world
    publish(origin, single)
    const [missing] = single.own.layers
    if (missing === undefined) throw new Error('no layer')
    origin.removeBlob(missing.digest)
    const events = await prewarm(agent.adminUrl('/api/prewarm?image=app:v1&image=app:none&image=app:v1'))
    const outcomes = eventsOf(events, 'layer').slice(0, 3)
    expect(outcomes.filter(({ outcome }) => outcome === 'failed').map(({ digest }) => digest)).toEqual([missing.digest])
    expect(outcomes.filter(({ outcome }) => outcome === 'fetched')).toHaveLength(2)
    expect(eventsOf(events, 'image-done').map(({ failedLayers }) => failedLayers)).toEqual([1, 0, 1])
    expect(events.at(-1)).toMatchObject({ ok: false, images: 3, failedImages: 3 })
  })

  it('refuses at once what makes no sense', async () => {
    await using world = await setUp()
    for (const query of [
      '',
      'image=UPPER',
      'image=a:b:c',
      'image=app@latest',
      'image=app&platform=nonsense',
      'image=app&fleet=true',
      'image=app&fleet=true&hosts=0',
      Array.from({ length: 65 }, () => 'image=app').join('&'),
    ]) {
      await expect(prewarm(world.agent.adminUrl(`/api/prewarm?${query}`))).rejects.toThrow(/errors/)
    }
  })

  it('ends when the client leaves', async () => {
    await using world = await setUp()
    const { origin, agent } = world
    publish(origin, single)
    origin.inject({ fault: { kind: 'hang' }, match: { path: /blobs/ }, times: Infinity })
    const leaving = new AbortController()
    const answer = await fetch(agent.adminUrl('/api/prewarm?image=app:v1'), { method: 'POST', signal: leaving.signal })
    await origin.until(() => origin.requestsFor(/blobs/).length >= 3)
    leaving.abort()
    await expect(answer.text()).rejects.toThrow()
    // the transfers lose their readers
    await vi.waitFor(async () => {
      expect((await agent.status()).transfers.every(({ readers }) => readers === 0)).toBe(true)
    }, SOON)
  })
})

describe('a prewarm of the fleet', () => {
  it('brings the image to every agent, and tells what came to each from where', async () => {
    await using origin = await FaultOrigin.start()
    publish(origin, single)
    await using fleet = await Fleet.start({
      count: 4,
      start: (swarm) => TestAgent.start({ origins: [origin.registry], swarm }),
    })
    const events = await prewarm(fleet.first.adminUrl('/api/prewarm?image=app:v1&fleet=true&hosts=2'))
    expect(events.at(-1)).toMatchObject({ type: 'done', ok: true, hosts: 3, failedHosts: 0 })
    const ends = eventsOf(events, 'host').filter(({ state }) => state === 'done')
    const ids = await Promise.all(fleet.agents.slice(1).map(async (agent) => (await agent.status()).swarm?.id))
    expect(new Set(ends.map(({ peer }) => peer))).toEqual(new Set(ids))
    for (const agent of fleet.agents)
      expect(await agent.storedDigests()).toEqual(expect.arrayContaining([...single.blobs.keys()]))
    const bytes = [...single.blobs.values()].reduce((sum, blob) => sum + blob.length, 0)
    for (const end of ends) {
      expect(end).toMatchObject({ bytes, totalBytes: bytes })
      expect(end.fromOrigin + end.fromPeers).toBeGreaterThanOrEqual(bytes)
    }
  })

  it('asks nobody for what the registry does not have, and the fleet for the other images', async () => {
    await using origin = await FaultOrigin.start()
    publish(origin, single)
    await using fleet = await Fleet.start({
      count: 2,
      start: (swarm) => TestAgent.start({ origins: [origin.registry], swarm }),
    })
    const events = await prewarm(fleet.first.adminUrl('/api/prewarm?image=app:typo&image=app:v1&fleet=true'))
    expect(new Set(eventsOf(events, 'host').map(({ image }) => image))).toEqual(new Set(['app:v1']))
    expect(events.at(-1)).toMatchObject({ ok: false, failedImages: 1, unknownImages: 1, hosts: 1, failedHosts: 0 })
  })

  it('asks the others also for an image that is not made for the platform of this host', async () => {
    await using origin = await FaultOrigin.start()
    publish(origin, multi)
    await using fleet = await Fleet.start({
      count: 2,
      start: (swarm) => TestAgent.start({ origins: [origin.registry], swarm }),
    })
    const events = await prewarm(fleet.first.adminUrl('/api/prewarm?image=app:v1&platform=linux/s390x&fleet=true'))
    expect(events.at(-1)).toMatchObject({ failedImages: 1, unknownImages: 0, hosts: 1, failedHosts: 1 })
  })

  it('an agent that is told not to takes no such requests, and the others are served', async () => {
    await using origin = await FaultOrigin.start()
    publish(origin, single)
    await using fleet = await Fleet.start({
      count: 3,
      start: (swarm, index) =>
        TestAgent.start({ origins: [origin.registry], swarm: { ...swarm, prewarm: index !== 2 } }),
    })
    const events = await prewarm(fleet.first.adminUrl('/api/prewarm?image=app:v1&fleet=true'))
    expect(events.at(-1)).toMatchObject({ ok: false, hosts: 2, failedHosts: 1, failedImages: 0 })
    const failed = eventsOf(events, 'host').find(({ state }) => state === 'failed')
    expect(failed?.message).toContain('swarm.prewarm')
  })

  it('tells which host could not get it, and why', async () => {
    await using origin = await FaultOrigin.start()
    publish(origin, single)
    await using fleet = await Fleet.start({
      count: 2,
      start: (swarm, index) =>
        TestAgent.start({
          origins: [origin.registry],
          swarm,
          ...(index === 1 && { origin: { default: 'docker.io', allow: ['docker.io'], registries: {} } }),
        }),
    })
    const events = await prewarm(fleet.first.adminUrl('/api/prewarm?image=app:v1&fleet=true'))
    expect(events.at(-1)).toMatchObject({ ok: false, hosts: 1, failedHosts: 1, failedImages: 0 })
    expect(eventsOf(events, 'host').at(-1)).toMatchObject({ state: 'failed', message: expect.stringMatching(/allow/) })
  })
})
