import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { DiskRepositoryIndex } from '../../../src/store/repository-index.ts'
import { recordingLog } from '../../fakes/silent-log.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const ONE = { registry: 'a.example:5000', name: 'team/app' }
const DIGEST = digestOf('sha256', 'a'.repeat(64))
const SEEN = { digest: DIGEST, mediaType: 'application/vnd.oci.image.index.v1+json', size: 12, at: 1000 }

describe('DiskRepositoryIndex', () => {
  const { log, entries } = recordingLog()
  let dir: string
  let now: number
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-repositories-'))
    now = 1000 * DAY_MS
    entries.length = 0
  })
  afterEach(async () => {
    vi.useRealTimers()
    await rm(dir, { recursive: true })
  })

  async function started(): Promise<DiskRepositoryIndex> {
    const index = new DiskRepositoryIndex({ log, clock: () => now }, { dir })
    await index.start()
    return index
  }

  it('remembers everything across a restart but admissions that are not to be kept', async () => {
    const first = await started()
    first.recordTag(ONE, 'latest', SEEN)
    first.recordTag(ONE, 'gone', SEEN)
    first.forgetTag(ONE, 'gone')
    first.link(ONE, [DIGEST])
    first.recordMediaType('a.test', DIGEST, 'text/plain')
    first.recordAdmission(ONE, 'agent', 5, { keep: true })
    first.recordAdmission(ONE, 'client', 6, { keep: false })
    await first.stop()
    await using second = await started()
    expect(second.tag(ONE, 'latest')).toEqual(SEEN)
    expect(second.tag(ONE, 'gone')).toBeUndefined()
    expect(second.isLinked(ONE, DIGEST)).toBe(true)
    expect(second.mediaType('a.test', DIGEST)).toBe('text/plain')
    expect(second.admittedAt(ONE, 'agent')).toBe(5)
    expect(second.admittedAt(ONE, 'client')).toBeUndefined()
    expect(entries).toEqual([])
  })

  it('writes to the disk within a second', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await using first = await started()
    first.recordTag(ONE, 'latest', SEEN)
    vi.advanceTimersByTime(1000)
    await using second = await started()
    expect(second.tag(ONE, 'latest')).toEqual(SEEN)
  })

  it('reads what it has evicted from memory', async () => {
    await using index = await started()
    const digests = Array.from({ length: 20_000 }, (_, n) => digestOf('sha256', n.toString(16).padStart(64, '0')))
    index.link(ONE, digests)
    expect(digests.every((digest) => index.isLinked(ONE, digest))).toBe(true)
    await index.stop()
    await using again = await started()
    expect(digests.every((digest) => again.isLinked(ONE, digest))).toBe(true)
  })

  it('forgets what was not used for ninety days', async () => {
    const first = await started()
    first.recordMediaType('a.test', DIGEST, 'text/plain')
    first.recordTag(ONE, 'latest', SEEN)
    await first.stop()
    now += 89 * DAY_MS
    const second = await started()
    expect(second.tag(ONE, 'latest')).toEqual(SEEN)
    await second.stop()
    now += 2 * DAY_MS
    await using third = await started()
    expect(third.tag(ONE, 'latest')).toEqual(SEEN)
    expect(third.mediaType('a.test', DIGEST)).toBeUndefined()
  })

  it.each([
    ['no database', 'x'.repeat(5000)],
    ['an empty file', ''],
  ])('begins anew when its file is %s', async (_what, content) => {
    await writeFile(join(dir, 'repositories.sqlite'), content)
    const first = await started()
    first.recordTag(ONE, 'latest', SEEN)
    await first.stop()
    await using second = await started()
    expect(second.tag(ONE, 'latest')).toEqual(SEEN)
    const aside = (await readdir(dir)).filter((name) => name.startsWith('repositories.sqlite.damaged-'))
    expect(aside.length).toBe(content === '' ? 0 : 1)
  })

  it('goes on in memory, with one warning, when its directory cannot be used', async () => {
    const index = new DiskRepositoryIndex({ log, clock: () => now }, { dir: join(dir, 'missing') })
    await index.start()
    index.recordTag(ONE, 'latest', SEEN)
    index.link(ONE, [DIGEST])
    expect(index.tag(ONE, 'latest')).toEqual(SEEN)
    expect(index.isLinked(ONE, DIGEST)).toBe(true)
    await index.stop()
    expect(entries.map((entry) => entry.level)).toEqual(['warn'])
  })
})
