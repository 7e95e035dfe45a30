import { expect, it } from 'vitest'
import { contentOf, foundBy } from './describe-pulls.ts'
import type { PullWorld } from './pull-world.ts'

/** For clients that can have a mirror for every registry. */
export function pullsByHostAndPort(world: () => PullWorld): void {
  it('pulls from a registry with a port through the agent, and again when that is gone', async () => {
    const image = await world().push({ layerBytes: [500 * 1024] })
    const reference = `${world().registry.registry}/${image.repository}:latest`
    expect(await world().pulledBytes(reference)).toBeGreaterThan(500 * 1024)
    expect(await foundBy(world(), image, reference)).toEqual(contentOf(image))
    await world().client.remove(reference)
    await world().withoutOrigin(async () => {
      await world().client.pull(reference)
      expect(await foundBy(world(), image, reference)).toEqual(contentOf(image))
    })
  })
}
