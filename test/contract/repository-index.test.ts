import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RepositoryIndex } from '../../src/blob/ports.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { DiskRepositoryIndex } from '../../src/store/repository-index.ts'
import { MemoryRepositoryIndex } from '../fakes/memory-repository-index.ts'
import { silentLog } from '../fakes/silent-log.ts'

const ONE = { registry: 'a.example:5000', name: 'team/app' }
const OTHER = { registry: 'a.example:5000', name: 'team/app2' }
const DIGEST = digestOf('sha256', 'a'.repeat(64))
const SEEN = { digest: DIGEST, mediaType: 'application/vnd.oci.image.index.v1+json', size: 12, at: 1000 }

interface Made extends AsyncDisposable {
  readonly index: RepositoryIndex
}

async function onDisk(): Promise<Made> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-repositories-'))
  const index = new DiskRepositoryIndex({ log: silentLog, clock: () => 1000 }, { dir })
  await index.start()
  return {
    index,
    [Symbol.asyncDispose]: async () => {
      await index.stop()
      await rm(dir, { recursive: true })
    },
  }
}

async function inMemory(): Promise<Made> {
  return { index: new MemoryRepositoryIndex(), [Symbol.asyncDispose]: async () => {} }
}

describe.each([
  ['on disk', onDisk],
  ['in memory', inMemory],
])('a repository index %s', (_name, make) => {
  it('gives the last digest seen for a tag, and none after it was forgotten', async () => {
    await using made = await make()
    made.index.recordTag(ONE, 'latest', { ...SEEN, size: 1 })
    made.index.recordTag(ONE, 'latest', SEEN)
    expect(made.index.tag(ONE, 'latest')).toEqual(SEEN)
    expect(made.index.tag(OTHER, 'latest')).toBeUndefined()
    made.index.forgetTag(ONE, 'latest')
    expect(made.index.tag(ONE, 'latest')).toBeUndefined()
  })

  it('keeps what peers saw of a tag apart, until the origin answers or the tag is forgotten', async () => {
    await using made = await make()
    const { index } = made
    index.recordPeersTag(ONE, 'latest', SEEN)
    expect([index.tag(ONE, 'latest'), index.peersTag(ONE, 'latest')]).toEqual([undefined, SEEN])
    expect(index.peersTag(OTHER, 'latest')).toBeUndefined()
    index.recordTag(ONE, 'latest', { ...SEEN, at: 2000 })
    expect([index.tag(ONE, 'latest')?.at, index.peersTag(ONE, 'latest')]).toEqual([2000, undefined])
    index.recordPeersTag(ONE, 'latest', SEEN)
    index.forgetTag(ONE, 'latest')
    expect([index.tag(ONE, 'latest'), index.peersTag(ONE, 'latest')]).toEqual([undefined, undefined])
  })

  it('links digests to the repository that they were seen in alone', async () => {
    await using made = await make()
    expect(made.index.isLinked(ONE, DIGEST)).toBe(false)
    made.index.link(ONE, [DIGEST])
    expect(made.index.isLinked(ONE, DIGEST)).toBe(true)
    expect(made.index.isLinked(OTHER, DIGEST)).toBe(false)
  })

  it('remembers the media type of a digest', async () => {
    await using made = await make()
    expect(made.index.mediaType('a.test', DIGEST)).toBeUndefined()
    made.index.recordMediaType('a.test', DIGEST, 'text/one')
    made.index.recordMediaType('a.test', DIGEST, 'text/two')
    expect(made.index.mediaType('a.test', DIGEST)).toBe('text/two')
  })

  it.each([true, false])('remembers admissions by identity until they are forgotten (keep: %s)', async (keep) => {
    await using made = await make()
    made.index.recordAdmission(ONE, 'agent', 5, { keep })
    made.index.recordAdmission(ONE, 'agent', 7, { keep })
    expect(made.index.admittedAt(ONE, 'agent')).toBe(7)
    expect(made.index.admittedAt(ONE, 'client')).toBeUndefined()
    expect(made.index.admittedAt(OTHER, 'agent')).toBeUndefined()
    made.index.forgetAdmission(ONE, 'agent')
    expect(made.index.admittedAt(ONE, 'agent')).toBeUndefined()
  })
})
