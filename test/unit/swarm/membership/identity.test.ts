import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadIdentity } from '../../../../src/swarm/membership/identity.ts'
import { recordingLog, silentLog } from '../../../fakes/silent-log.ts'

let dir: string
let path: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-identity-'))
  path = join(dir, 'identity.key')
})
afterEach(() => rm(dir, { recursive: true }))

describe('identity', () => {
  it('is the same after a restart, and for its owner only', async () => {
    const first = await loadIdentity(path, { log: silentLog })
    const second = await loadIdentity(path, { log: silentLog })
    expect(second.equals(first)).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(dir)).toEqual(['identity.key'])
  })

  it('is a new one when the file is damaged, which is kept', async () => {
    await writeFile(path, 'not a key')
    const { log, entries } = recordingLog()
    const made = await loadIdentity(path, { log })
    expect((await loadIdentity(path, { log })).equals(made)).toBe(true)
    expect(await readdir(dir)).toEqual(['identity.key', 'identity.key.damaged'])
    expect(entries.map(({ level }) => level)).toEqual(['warn'])
  })

  it('is never written over by an agent that starts at the same time', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => loadIdentity(path, { log: silentLog })))
    const kept = await loadIdentity(path, { log: silentLog })
    const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(made.length).toBeGreaterThan(0)
    expect(made.every((identity) => identity.equals(kept))).toBe(true)
  })

  it('says so when the directory is not there', async () => {
    await expect(loadIdentity(join(dir, 'missing', 'identity.key'), { log: silentLog })).rejects.toThrow('ENOENT')
  })
})
