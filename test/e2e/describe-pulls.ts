import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HubStandIn } from '../fixtures/hub-stand-in.ts'
import { hostPlatform } from '../fixtures/image.ts'
import { RegistryProcess } from '../fixtures/registry-process.ts'
import { type ClientKind, PullWorld, type PushedImage } from './pull-world.ts'

const KIB = 1024
const MIB = 1024 * KIB
// headers, and what a client asks twice
const SLACK_BYTES = 128 * KIB
// on a busy host a connection may look slow and be given up for another, and what was in it is sent twice
const BUSY_SLACK = 1.25
const SLOW_MS = 120_000

/** Says why a suite is not run here; undefined when it is. */
export function reasonToSkip(name: string, kind: ClientKind): string | undefined {
  const reason = kind.unavailable() ?? RegistryProcess.unavailable() ?? HubStandIn.unavailable()
  if (reason !== undefined) process.stderr.write(`not run: ${name}: ${reason}\n`)
  return reason
}

/** What every client can do with an agent. @param more further tests, with the same daemons */
export function describePulls(name: string, kind: ClientKind, more: (world: () => PullWorld) => void): void {
  describe.skipIf(reasonToSkip(name, kind) !== undefined)(`${name} with an agent`, () => {
    let started: PullWorld | undefined
    const world = (): PullWorld => {
      if (started === undefined) throw new Error('not started')
      return started
    }

    beforeAll(async () => {
      started = await PullWorld.start(kind)
    })

    afterAll(async () => {
      await started?.close()
    })

    it('pulls an image that nobody has yet, each byte once from the origin', async () => {
      const image = await world().push({ layerBytes: [300 * KIB, 3 * MIB] })
      const bytes = await world().pulledBytes(image.reference)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
      expect(bytes).toBeGreaterThan(image.pullBytes)
      expect(bytes).toBeLessThan(image.pullBytes + SLACK_BYTES)
    })

    it('pulls again without the content from the origin', async () => {
      const image = await world().push({ layerBytes: [2 * MIB], format: 'docker' })
      await world().client.pull(image.reference)
      await world().client.remove(image.reference)
      expect(await world().pulledBytes(image.reference)).toBeLessThan(SLACK_BYTES)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
    })

    it('pulls again by tag when the origin is gone, also from an agent that was started since', async () => {
      const image = await world().push({ layerBytes: [2 * MIB, 100] })
      await world().client.pull(image.reference)
      await world().client.remove(image.reference)
      await world().withoutOrigin(async () => {
        await world().client.pull(image.reference)
        expect(await foundBy(world(), image)).toEqual(contentOf(image))
        await world().client.remove(image.reference)
        await world().agent.restart()
        await world().client.pull(image.reference)
        expect(await foundBy(world(), image)).toEqual(contentOf(image))
      })
    })

    it('sees at once that a tag has moved at the origin', async () => {
      const old = await world().push({ layerBytes: [50 * KIB] })
      await world().client.pull(old.reference)
      const moved = await world().pushAs(old.repository, { seed: 'moved', layerBytes: [60 * KIB] })
      // what the client gets past the agent is not counted
      expect(await world().pulledBytes(moved.reference)).toBeGreaterThan(60 * KIB)
      expect(moved.own.config).not.toBe(old.own.config)
      expect(await foundBy(world(), moved)).toEqual(contentOf(moved))
    })

    it.each(['oci', 'docker'] as const)("pulls this host's image out of an index of %s", async (format) => {
      const platforms = [hostPlatform(), 'linux/s390x', 'linux/riscv64']
      const image = await world().push({ layerBytes: [200 * KIB], format, platforms })
      expect(await world().pulledBytes(image.reference)).toBeGreaterThan(image.pullBytes)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
    })

    it('pulls one image of many layers, a large and an empty one among them', async () => {
      const image = await world().push({ layerBytes: [40 * MIB, 0, 1, 256 * KIB, 256 * KIB + 1, 5 * MIB, 77, 3 * MIB] })
      const bytes = await world().pulledBytes(image.reference)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
      expect(bytes).toBeGreaterThan(image.pullBytes)
      expect(bytes).toBeLessThan(image.pullBytes * BUSY_SLACK)
    })

    it('pulls in the end when the agent is killed in the middle', { timeout: SLOW_MS }, async () => {
      const image = await world().push({ layerBytes: [40 * MIB] })
      const { proxy } = world().registry
      const held = proxy.holdAfter(8 * MIB)
      const pull = world().client.pull(image.reference)
      const failed = pull.then(
        () => false,
        () => true,
      )
      await held
      await world().agent.kill()
      proxy.release()
      await world().agent.restart()
      if (await failed) await world().client.pull(image.reference)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
      await world().client.remove(image.reference)
      await world().client.pull(image.reference)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
      expect((await world().agent.verify()).at(-1)).toMatchObject({ type: 'done', bad: 0 })
      const stored = (await world().agent.blobs()).map(({ digest }) => digest)
      expect(stored).toEqual(expect.arrayContaining(image.own.layers.map(({ digest }) => digest)))
    })

    it('pulls from its registry when no agent runs', async () => {
      const image = await world().push({ layerBytes: [100 * KIB] })
      expect(await world().agent.stop()).toBe(0)
      try {
        await world().client.pull(image.reference)
        expect(await foundBy(world(), image)).toEqual(contentOf(image))
      } finally {
        await world().agent.restart()
      }
    })

    it.each([
      ['is full', 'size=4m'],
      ['holds nothing at all', 'size=8k'],
      ['is read-only', 'ro'],
    ])("pulls when the disk of the agent's store %s", async (_, storeTmpfs) => {
      const config = { origin: { registries: { 'docker.io': { mirrors: [world().registry.url] } } } }
      const image = await world().push({ layerBytes: [6 * MIB, 300 * KIB] })
      await world().agent.restart({ config, storeTmpfs })
      try {
        expect(await world().pulledBytes(image.reference)).toBeGreaterThan(image.pullBytes)
        expect(await foundBy(world(), image)).toEqual(contentOf(image))
      } finally {
        await world().restoreAgent()
      }
    })

    more(world)
  })
}

interface Content {
  readonly config: string
  /** Lines of sha256sum. */
  readonly files: readonly string[]
}

export function contentOf({ own }: PushedImage): Content {
  return { config: own.config, files: own.runs ? own.files.map(({ path, sha256 }) => `${sha256}  ${path}`) : [] }
}

/** What the client has; a container looks into the files, where the client runs one. */
export async function foundBy(
  { client }: PullWorld,
  image: PushedImage,
  reference = image.reference,
): Promise<Content> {
  const config = await client.contentDigest(reference)
  if (client.run === undefined || !image.own.runs) return { config, files: [] }
  const output = await client.run(reference, ['/bin/sha256sum', ...image.own.files.map(({ path }) => path)])
  return { config, files: output.trim().split(/\r?\n/) }
}
