import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NamedResult } from '../../src/doctor/check.ts'
import type { ClientFamily } from '../../src/facade/client-sightings.ts'
import { run } from '../fixtures/child.ts'
import type { ImageClient } from '../fixtures/client.ts'
import type { HubStandIn } from '../fixtures/hub-stand-in.ts'
import { pageShows } from '../fixtures/page-events.ts'
import { contentOf, foundBy, reasonToSkip } from './describe-pulls.ts'
import { PullWorld, type PushedImage } from './pull-world.ts'

const SHOAL = fileURLToPath(new URL('../../scripts/shoal', import.meta.url))

export interface SetupKind {
  /** As `shoal setup` names it. */
  readonly client: string
  /** As `shoal status` names it. */
  readonly family: ClientFamily
  readonly unavailable: () => string | undefined
  /** @param root what stands for the host's root */
  readonly start: (root: string, hub: HubStandIn) => Promise<ImageClient>
  /** What an operator does after the first set-up, where that says so. */
  readonly restart?: () => Promise<void>
}

/** Set up, pull, undo, pull, with the real client, whose settings are those of a host of its own. */
export function describeSetup(name: string, kind: SetupKind): void {
  const skip = reasonToSkip(`shoal setup ${name}`, {
    unavailable: kind.unavailable,
    start: () => Promise.reject(Error()),
  })
  describe.skipIf(skip !== undefined)(`${name} after shoal setup ${kind.client}`, () => {
    let root: string
    let started: PullWorld | undefined
    const world = (): PullWorld => {
      if (started === undefined) throw new Error('not started')
      return started
    }

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'shoal-host-'))
      started = await PullWorld.start({ unavailable: kind.unavailable, start: ({ hub }) => kind.start(root, hub) })
    }, 120_000)
    afterAll(async () => {
      await started?.close()
      await rm(root, { recursive: true, force: true })
    })

    const shoal = (...args: string[]): Promise<string> =>
      run(SHOAL, ['setup', kind.client, '--root', root, '--mirror', world().agent.facadeUrl, ...args])

    async function pullNew(): Promise<PushedImage> {
      const image = await world().push({ layerBytes: [300_000] })
      await world().client.pull(image.reference)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
      return image
    }

    /** Whether the agent, and not only the client, has it now. */
    async function comesThroughAgent(): Promise<boolean> {
      return await agentHas(await pullNew())
    }

    /** What the checks of other things say does not matter here. */
    async function doctorSays(): Promise<string | undefined> {
      const command = [SHOAL, 'doctor', '--json', '--root', root, '--admin', world().agent.adminUrl]
      const { checks } = JSON.parse(await run('sh', ['-c', '"$@" || true', 'sh', ...command])) as {
        checks: NamedResult[]
      }
      return checks.find((check) => check.name === kind.client)?.text
    }

    async function agentHas(image: PushedImage): Promise<boolean> {
      const stored = new Set((await world().agent.blobs()).map(({ digest }) => digest))
      return image.own.layers.every(({ digest }) => stored.has(digest))
    }

    it('is shown to the user: who asked, what came, and for which image', { timeout: 180_000 }, async () => {
      const before = settingsOf(root)
      expect((await world().agent.status()).clients).toEqual([])
      expect(await world().agent.shoal('status')).toContain('none seen')
      await shoal()
      await kind.restart?.()
      expect(await doctorSays()).toMatch(/^is set up; not seen yet|^not installed/)

      const image = await pullNew()
      const bytes = image.own.layers.reduce((sum, { digest }) => sum + (image.blobs.get(digest)?.length ?? 0), 0)
      const { clients, traffic } = await world().agent.status()
      expect(clients?.map(({ family }) => family)).toEqual([kind.family])
      expect(traffic.fromOrigin).toBeGreaterThanOrEqual(bytes)
      expect(await world().agent.shoal('status')).toMatch(
        new RegExp(`^Received +[1-9].* from registries[^]*^Clients +${kind.family} \\d`, 'm'),
      )
      expect(await doctorSays()).toMatch(/^uses the mirror; last seen|^not installed/)
      const { pulls = [] } = await pageShows(world().agent.adminUrl, (shown) =>
        (shown.pulls ?? []).some(({ done, blobs }) => done === blobs),
      )
      expect(pulls).toMatchObject([{ image: expect.stringContaining(image.reference), bytes: { store: 0, peer: 0 } }])
      expect(pulls[0]?.bytes.origin).toBeGreaterThanOrEqual(bytes)

      await shoal('--undo')
      expect(settingsOf(root)).toEqual(before)
      await kind.restart?.()
    })

    it.runIf(kind.client === 'docker')(
      'is told to read its file when it was not reloaded',
      { timeout: 90_000 },
      async () => {
        await shoal('--no-reload')
        expect(await doctorSays()).toBe('is set up, and has not read that yet')
        await shoal('--undo')
        expect(await doctorSays()).not.toMatch(/set up/)
      },
    )

    it('pulls through the agent, and past it when that is undone', { timeout: 180_000 }, async () => {
      const before = settingsOf(root)
      expect(await comesThroughAgent()).toBe(false)

      await shoal('--dry-run')
      await shoal('--print')
      expect(settingsOf(root)).toEqual(before)
      await shoal()
      const once = settingsOf(root)
      await kind.restart?.()
      expect(await comesThroughAgent()).toBe(true)
      expect(await shoal()).toContain('set up already')
      expect(settingsOf(root)).toEqual(once)

      await shoal('--undo')
      expect(settingsOf(root)).toEqual(before)
      expect(await comesThroughAgent()).toBe(false)
      await shoal()
      await kind.restart?.()
      expect(await comesThroughAgent()).toBe(true)
      await shoal('--undo')
      expect(settingsOf(root)).toEqual(before)
    })
  })
}

/** What the host's configuration is, with its modes. */
function settingsOf(root: string): Record<string, string> {
  const etc = join(root, 'etc')
  const files = readdirSync(etc, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(etc, name)).isFile(),
  )
  return Object.fromEntries(
    files.map((name) => [name, `${statSync(join(etc, name)).mode} ${readFileSync(join(etc, name), 'utf8')}`]),
  )
}
