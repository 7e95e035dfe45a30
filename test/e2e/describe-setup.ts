import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import type { ImageClient } from '../fixtures/client.ts'
import type { HubStandIn } from '../fixtures/hub-stand-in.ts'
import { contentOf, foundBy, reasonToSkip } from './describe-pulls.ts'
import { PullWorld, type PushedImage } from './pull-world.ts'

const SHOAL = fileURLToPath(new URL('../../scripts/shoal', import.meta.url))

export interface SetupKind {
  /** As `shoal setup` names it. */
  readonly client: string
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

    /** Whether the agent, and not only the client, has it now. */
    async function comesThroughAgent(): Promise<boolean> {
      const image = await world().push({ layerBytes: [300_000] })
      await world().client.pull(image.reference)
      expect(await foundBy(world(), image)).toEqual(contentOf(image))
      return await agentHas(image)
    }

    async function agentHas(image: PushedImage): Promise<boolean> {
      const stored = new Set((await world().agent.blobs()).map(({ digest }) => digest))
      return image.own.layers.every(({ digest }) => stored.has(digest))
    }

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
