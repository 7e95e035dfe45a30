/** Blobs and tags from other agents while agents and the registry vanish, and who may have them. */
import { createHash } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { TestBlob } from '../fakes/fake-content.ts'
import { blobOf } from '../fixtures/adversary/false-blob.ts'
import { WatchedPulls } from '../fixtures/adversary/watched-pulls.ts'
import { AgentProcess } from '../fixtures/agent-process.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { Fleet } from '../fixtures/fleet.ts'
import { TestAgent } from '../fixtures/test-agent.ts'

const SOON = { timeout: 15_000, interval: 20 }
const CHUNKS = 20
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar'
const RATE = 4 * 1024 * 1024

async function fleetOf(
  origin: FaultOrigin,
  count: number,
  keys: { swarm?: (index: number) => object; origin?: object } = {},
): Promise<Fleet<TestAgent>> {
  return await Fleet.start({
    count,
    start: (swarm, index) =>
      TestAgent.start({
        origins: [origin.registry],
        swarm: { ...swarm, ...keys.swarm?.(index) },
        ...(keys.origin && { origin: keys.origin }),
      }),
  })
}

function slowDown(origin: FaultOrigin, bytesPerSecond: number): void {
  const match = { method: 'GET', path: /\/blobs\// }
  origin.inject({ fault: { kind: 'slow', bytesPerSecond }, match, times: Infinity })
}

/** Chunks that the agent has verified of the blob that it fetches. */
async function chunksHere(agent: TestAgent): Promise<number> {
  return (await agent.status()).transfers[0]?.verifiedChunks ?? 0
}

describe('in the middle of a blob', () => {
  it.each([1, 8, 17])('all peers may be killed at chunk %i, and the registry serves on', async (chunk) => {
    await using origin = await FaultOrigin.start()
    const blob = blobOf(`peers vanish ${chunk}`, CHUNKS)
    origin.addBlob(blob.bytes)
    const config = {
      origin: { default: origin.registry, registries: { [origin.registry]: { plainHttp: true } } },
    }
    // slow enough to be killed on the way, and the registry is still slower
    const secret = 'a secret of the test'
    const swarm = { secret, uploadRate: '2MiB' }
    const first = await AgentProcess.start({ config: { ...config, swarm } })
    await using _first = { [Symbol.asyncDispose]: () => first.close() }
    const bootstrap = (await first.status()).listening.swarm.slice(0, 1)
    const second = await AgentProcess.start({ config: { ...config, swarm: { ...swarm, bootstrap } } })
    await using _second = { [Symbol.asyncDispose]: () => second.close() }
    const pulls = new WatchedPulls()
    for (const giver of [first, second]) {
      await pulls.pull(`${giver.facadeUrl}/v2/app/blobs/${blob.digest}`, blob)
      await vi.waitUntil(async () => (await giver.blobs()).length === 1, SOON)
    }
    await using taker = await TestAgent.start({ origins: [origin.registry], swarm: { secret, bootstrap } })
    await vi.waitUntil(async () => (await taker.status()).swarm?.connected === 2, SOON)
    slowDown(origin, RATE)
    const pulling = pulls.pull(taker.url(`/v2/app/blobs/${blob.digest}`), blob)
    await vi.waitUntil(async () => (await chunksHere(taker)) >= chunk, { timeout: 10_000, interval: 5 })
    await Promise.all([first.kill(), second.kill()])
    await pulling
    pulls.check(3)
    expect((await taker.status()).traffic.fromPeers).toBeGreaterThan(0)
  })

  it.each([1, 6, 12])('the registry may vanish at chunk %i, and a peer serves on', async (chunk) => {
    await using origin = await FaultOrigin.start()
    const blob = blobOf(`the registry vanishes ${chunk}`, CHUNKS)
    origin.addBlob(blob.bytes)
    await using fleet = await fleetOf(origin, 2, { swarm: (index) => (index === 0 ? { uploadRate: '2MiB' } : {}) })
    const pulls = new WatchedPulls()
    const path = `/v2/app/blobs/${blob.digest}`
    await pulls.pull(fleet.first.url(path), blob)
    await fleet.first.idle()
    slowDown(origin, RATE)
    const taker = fleet.at(1)
    const pulling = pulls.pull(taker.url(path), blob)
    await vi.waitUntil(async () => (await chunksHere(taker)) >= chunk, { timeout: 10_000, interval: 5 })
    await origin.goOffline()
    await pulling
    pulls.check(2)
    expect((await taker.status()).traffic.fromPeers).toBeGreaterThan(0)
  })

  it('every agent but one is gone, one after the other, and that one goes on', async () => {
    await using origin = await FaultOrigin.start()
    const blob = blobOf('one after the other', CHUNKS)
    origin.addBlob(blob.bytes)
    slowDown(origin, RATE)
    await using fleet = await fleetOf(origin, 4)
    const pulls = new WatchedPulls()
    const path = `/v2/app/blobs/${blob.digest}`
    const last = fleet.at(3)
    const all = fleet.agents.map((agent) => new WatchedPulls().pull(agent.url(path), blob))
    const pulling = pulls.pull(last.url(path), blob)
    for (const index of [0, 1, 2]) {
      await vi.waitUntil(
        async () => (await last.storedDigests()).length > 0 || (await chunksHere(last)) > index * 3,
        SOON,
      )
      await fleet.at(index).stop()
    }
    await Promise.all([...all, pulling])
    pulls.check(1)
    await last.idle()
    expect(await last.storedDigests()).toEqual([blob.digest])
  })
})

it('a client that the registry admits late gets what peers have brought, and the registry is not asked for it', async () => {
  await using origin = await FaultOrigin.start()
  const blob = blobOf('admitted late', CHUNKS)
  origin.addBlob(blob.bytes)
  await using fleet = await fleetOf(origin, 3, { swarm: (index) => (index === 2 ? { headStart: '20s' } : {}) })
  const pulls = new WatchedPulls()
  const path = `/v2/app/blobs/${blob.digest}`
  const taker = fleet.at(2)
  for (const giver of fleet.agents.slice(0, 2)) {
    await pulls.pull(giver.url(path), blob)
    await giver.idle()
  }
  const admission = origin.inject({ fault: { kind: 'hang' }, match: { method: 'HEAD' }, times: Infinity })
  const pulling = pulls.pull(taker.url(path), blob)
  await vi.waitUntil(async () => (await taker.storedDigests()).length > 0 && admission.hits > 0, SOON)
  expect((await taker.status()).traffic.fromPeers).toBeGreaterThan(0)
  const before = origin.egressBytes(/\/blobs\//)
  admission.release()
  await pulling
  pulls.check(3)
  expect(origin.egressBytes(/\/blobs\//)).toBe(before)
})

describe('a private repository', () => {
  const blob = blobOf('private', CHUNKS)
  const account = (name: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(`${name}:pw`).toString('base64')}`,
  })

  async function privateOrigin(): Promise<FaultOrigin> {
    const origin = await FaultOrigin.start()
    origin.addBlob(blob.bytes)
    origin.auth = {
      kind: 'basic',
      users: { ann: 'pw', bob: 'pw' },
      admits: (user) => user === 'ann',
    }
    return origin
  }

  async function ask(agent: TestAgent, name: string | undefined): Promise<{ status: number; right: boolean }> {
    const url = agent.url(`/v2/team/app/blobs/${blob.digest}`)
    const answer = await fetch(url, name === undefined ? {} : { headers: account(name) })
    const bytes = Buffer.from(await answer.arrayBuffer())
    return { status: answer.status, right: bytes.equals(blob.bytes) }
  }

  const GIVEN = { status: 200, right: true }

  it('is given by an agent that has it from a peer to whom the registry admits, and to nobody else', async () => {
    await using origin = await privateOrigin()
    await using fleet = await fleetOf(origin, 2, { swarm: () => ({ headStart: '2s', holdBack: '0s' }) })
    const [one, two] = [fleet.first, fleet.at(1)]
    expect(await ask(one, 'ann')).toEqual(GIVEN)
    await one.idle()
    expect((await ask(two, 'bob')).status).toBe(403)
    expect((await ask(two, undefined)).right).toBe(false)
    expect(await ask(two, 'ann')).toEqual(GIVEN)
    await two.idle()
    expect((await two.status()).traffic.fromPeers).toBeGreaterThan(0)
    for (const agent of [one, two]) {
      expect((await ask(agent, 'bob')).right).toBe(false)
      expect((await ask(agent, undefined)).right).toBe(false)
    }
  })

  it('is given without the registry only to those that it admitted, and not for ever', async () => {
    await using origin = await privateOrigin()
    const serveStale = { serveStale: '4s', rememberAccess: '0s', patience: '200ms' }
    await using fleet = await fleetOf(origin, 2, { origin: serveStale, swarm: () => ({ headStart: '2s' }) })
    const [one, two] = [fleet.first, fleet.at(1)]
    expect(await ask(one, 'ann')).toEqual(GIVEN)
    expect(await ask(two, 'ann')).toEqual(GIVEN)
    await Promise.all([one.idle(), two.idle()])
    const admittedAt = Date.now()
    await origin.goOffline()
    expect(await ask(two, 'ann')).toEqual(GIVEN)
    expect(Date.now() - admittedAt).toBeLessThan(4_000)
    expect((await ask(two, 'bob')).right).toBe(false)
    expect((await ask(two, undefined)).right).toBe(false)
    await vi.waitUntil(() => Date.now() - admittedAt > 4_000, SOON)
    expect((await ask(two, 'ann')).right).toBe(false)
  })
})

describe('a tag, when the registry is gone', () => {
  interface Image {
    readonly manifest: string
    readonly digest: string
    readonly blobs: readonly TestBlob[]
  }

  function imageOf(name: string): Image {
    const config = new TestBlob(Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', name })))
    const layer = blobOf(`layer of ${name}`, 3)
    const part = ({ digest, bytes }: TestBlob, mediaType: string): object => ({ mediaType, digest, size: bytes.length })
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: part(config, CONFIG),
      layers: [part(layer, LAYER)],
    })
    return { manifest, digest: `sha256:${createHash('sha256').update(manifest).digest('hex')}`, blobs: [config, layer] }
  }

  function publish(origin: FaultOrigin, { manifest, blobs }: Image): void {
    for (const { bytes } of blobs) origin.addBlob(bytes)
    origin.addManifest('app', 'v1', manifest, MANIFEST)
  }

  /** Manifest by tag, then its blobs. @returns the manifest's digest, or the status when there is none */
  async function pullTag(agent: TestAgent, image: Image | undefined): Promise<string | number> {
    const answer = await fetch(agent.url('/v2/app/manifests/v1'), { headers: { accept: MANIFEST } })
    const text = await answer.text()
    if (answer.status !== 200) return answer.status
    const pulls = new WatchedPulls()
    for (const blob of image?.blobs ?? []) await pulls.pull(agent.url(`/v2/app/blobs/${blob.digest}`), blob)
    pulls.check(image?.blobs.length ?? 0)
    await agent.idle()
    return `sha256:${createHash('sha256').update(text).digest('hex')}`
  }

  it('is pulled by an agent that never saw it, with all of its image', async () => {
    await using origin = await FaultOrigin.start()
    const image = imageOf('never seen')
    publish(origin, image)
    await using fleet = await fleetOf(origin, 3)
    expect(await pullTag(fleet.first, image)).toBe(image.digest)
    await origin.goOffline()
    expect(await pullTag(fleet.at(1), image)).toBe(image.digest)
    // nobody knows it any more but this one
    await fleet.first.stop()
    expect(await pullTag(fleet.at(1), image)).toBe(image.digest)
  })

  it('is not asked about, nor told, where tags are not shared', async () => {
    await using origin = await FaultOrigin.start()
    const image = imageOf('not shared')
    publish(origin, image)
    await using fleet = await fleetOf(origin, 3, { swarm: (index) => ({ shareTags: index === 2 }) })
    expect(await pullTag(fleet.first, image)).toBe(image.digest)
    await origin.goOffline()
    expect(await pullTag(fleet.at(1), undefined)).not.toBe(image.digest)
    expect(await pullTag(fleet.at(2), undefined)).not.toBe(image.digest)
  })

  it('is the one that was seen last, of those that agents saw', async () => {
    await using origin = await FaultOrigin.start()
    const [old, young] = [imageOf('old'), imageOf('young')]
    publish(origin, old)
    await using fleet = await fleetOf(origin, 3)
    expect(await pullTag(fleet.first, old)).toBe(old.digest)
    publish(origin, young)
    expect(await pullTag(fleet.at(1), young)).toBe(young.digest)
    await origin.goOffline()
    expect(await pullTag(fleet.at(2), young)).toBe(young.digest)
  })
})
