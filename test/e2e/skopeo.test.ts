import { expect, it } from 'vitest'
import { SkopeoClient } from '../fixtures/client-skopeo.ts'
import { buildArtifact, hostPlatform } from '../fixtures/image.ts'
import { pushImage } from '../fixtures/push-image.ts'
import { contentOf, describePulls, foundBy } from './describe-pulls.ts'
import { pullsByHostAndPort } from './pulls-by-host-and-port.ts'

describePulls('skopeo', SkopeoClient, (world) => {
  pullsByHostAndPort(world)

  it('copies the images of all platforms, and again when the origin is gone', async () => {
    const image = await world().push({ layerBytes: [300_000], platforms: [hostPlatform(), 'linux/s390x'] })
    const client = world().client as SkopeoClient
    await client.pullAll(image.reference)
    await client.remove(image.reference)
    await world().withoutOrigin(async () => {
      await client.pullAll(image.reference)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
    })
  })

  it('finds Docker Hub also when the mirror names it in its path', async () => {
    const image = await world().push({ layerBytes: [200_000] })
    const upstreams = [{ registry: 'docker.io', address: world().registry.direct }]
    const client = await SkopeoClient.start({ facade: world().agent.facade, upstreams, namesHub: true })
    try {
      const before = world().registry.proxy.bytesOut
      await client.pull(image.reference)
      expect(await client.contentDigest(image.reference)).toBe(image.own.config)
      expect(world().registry.proxy.bytesOut - before).toBeGreaterThan(200_000)
    } finally {
      await client.close()
    }
  })

  it('copies an artifact of a type that nobody knows', async () => {
    const artifact = buildArtifact('weights', 700_000)
    await pushImage(artifact, world().registry.direct, 'library/weights', 'latest')
    const before = world().registry.proxy.bytesOut
    await world().client.pull('docker.io/library/weights:latest')
    expect(await world().client.contentDigest('docker.io/library/weights:latest')).toBe(artifact.config)
    expect(world().registry.proxy.bytesOut - before).toBeGreaterThan(700_000)
  })
})
