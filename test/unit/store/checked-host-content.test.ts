import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdir, mkdtemp, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ChunkPlan, chunkEnd, chunkStart, planChunks } from '../../../src/blob/chunk-plan.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { CheckedHostContent } from '../../../src/store/checked-host-content.ts'
import { HashPool } from '../../../src/store/hash-pool.ts'
import { HostContent } from '../../../src/store/host-content.ts'
import { hostPath } from '../../../src/store/host-file.ts'
import { ProvenFiles } from '../../../src/store/proven-files.ts'
import { recordingLog } from '../../fakes/silent-log.ts'

const { signal } = new AbortController()

/** Counts the files it hashes with their chunks. */
class CountingPool extends HashPool {
  passes = 0

  override hashChunks(
    fd: number,
    plan: ChunkPlan,
    options: { signal: AbortSignal },
  ): Promise<{ hash: string; chunks: readonly string[] }> {
    this.passes += 1
    return super.hashChunks(fd, plan, options)
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

const bytes = randomBytes(600_000)
const digest = digestOf('sha256', hashOf(bytes))
const plan = planChunks(bytes.length)
const chunks = [0, 1, 2].map((index) => hashOf(bytes.subarray(chunkStart(plan, index), chunkEnd(plan, index))))

describe('CheckedHostContent', () => {
  const { log, entries } = recordingLog()
  let dir: string
  let hashes: CountingPool
  let host: HostContent
  let content: CheckedHostContent
  let events: string[]
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-host-'))
    hashes = new CountingPool({ log }, { maxThreads: 1 })
    const dirs = [join(dir, 'nowhere'), join(dir, 'layout')]
    host = new HostContent({ log, hashes }, { dirs })
    content = new CheckedHostContent({ log, hashes, proven: host.proven }, { dirs })
    events = []
    content.subscribe({ added: () => events.push('added'), removed: () => events.push('removed') })
    entries.length = 0
    await mkdir(dirname(pathOf(digest)), { recursive: true })
  })
  afterEach(async () => {
    await content.stop()
    await hashes.stop()
    await rm(dir, { recursive: true })
  })

  const pathOf = (of: Digest): string => hostPath(join(dir, 'layout'), of)

  async function readAll(): Promise<Buffer> {
    const reader = await content.open(digest)
    const target = Buffer.alloc(reader.size)
    await reader.read(target, 0, { signal })
    await reader.close()
    return target
  }

  it('gives nothing away before it was hashed, and all of it afterwards', async () => {
    await writeFile(pathOf(digest), bytes)
    expect(content.size(digest)).toBeUndefined()
    expect(await content.chunkHashes(digest, { signal })).toBeUndefined()
    await expect(content.open(digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    for (let times = 0; times < 3; times += 1) content.check(digest)
    await vi.waitFor(() => expect(events).toEqual(['added']))
    expect(content.size(digest)).toBe(bytes.length)
    expect([...content.digests()]).toEqual([digest])
    expect(await content.chunkHashes(digest, { signal })).toEqual(chunks)
    expect(await readAll()).toEqual(bytes)
    content.check(digest)
    expect(hashes.passes).toBe(1)
  })

  it('shares what a client had, and hashes its chunks when they are wanted', async () => {
    await writeFile(pathOf(digest), bytes)
    await (await host.open(digest, { signal }))?.close()
    expect(events).toEqual(['added'])
    expect(content.size(digest)).toBe(bytes.length)
    expect(hashes.passes).toBe(0)
    const all = await Promise.all([1, 2].map(() => content.chunkHashes(digest, { signal })))
    expect(all).toEqual([chunks, chunks])
    await (await host.open(digest, { signal }))?.close()
    expect(await content.chunkHashes(digest, { signal })).toEqual(chunks)
    expect(hashes.passes).toBe(1)
  })

  /** Resolves when all checks so far are over: they run in order. */
  async function checksDone(): Promise<void> {
    const last = randomBytes(10)
    const lastDigest = digestOf('sha256', hashOf(last))
    await writeFile(pathOf(lastDigest), last)
    content.check(lastDigest)
    await vi.waitFor(() => expect(content.size(lastDigest)).toBe(10))
    hashes.passes -= 1
    events.pop()
  }

  it('never shares a file without its digest, and hashes it once', async () => {
    await writeFile(pathOf(digest), randomBytes(600_000))
    content.check(digest)
    await checksDone()
    expect(entries.map((entry) => entry.level)).toEqual(['warn'])
    content.check(digest)
    await checksDone()
    expect(hashes.passes).toBe(1)
    expect(content.size(digest)).toBeUndefined()
    expect(events).toEqual([])
  })

  it('does not look again at once for what was not there', async () => {
    content.check(digest)
    await checksDone()
    await writeFile(pathOf(digest), bytes)
    content.check(digest)
    await checksDone()
    expect(hashes.passes).toBe(0)
    expect(content.size(digest)).toBeUndefined()
  })

  it.each([
    ['changed', () => appendFile(pathOf(digest), 'more')],
    ['vanished', () => unlink(pathOf(digest))],
  ])('gives no bytes of a file that %s, and says that it is gone', async (_what, damage) => {
    await writeFile(pathOf(digest), bytes)
    await (await host.open(digest, { signal }))?.close()
    const reader = await content.open(digest)
    await damage()
    await expect(content.open(digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    expect(events).toEqual(['added', 'removed'])
    expect(content.size(digest)).toBeUndefined()
    await reader.close()
  })

  it('takes back what turns out to have changed when its chunks are hashed', async () => {
    await writeFile(pathOf(digest), bytes)
    await (await host.open(digest, { signal }))?.close()
    await writeFile(pathOf(digest), randomBytes(600_000))
    expect(await content.chunkHashes(digest, { signal })).toBeUndefined()
    expect(events).toEqual(['added', 'removed'])
  })

  it('stops in the middle of a check', async () => {
    const large = Buffer.alloc(40 * 1024 * 1024)
    const largeDigest = digestOf('sha256', hashOf(large))
    await writeFile(pathOf(largeDigest), large)
    content.check(largeDigest)
    await vi.waitFor(() => expect(hashes.passes).toBe(1))
    await content.stop()
    expect(events).toEqual([])
    content.check(digest)
    expect(hashes.passes).toBe(1)
  })

  it('has no more checks waiting than it can bear', async () => {
    const many = Array.from({ length: 100 }, (_, index) => digestOf('sha256', hashOf(Buffer.from([index]))))
    await Promise.all(many.map((each, index) => writeFile(pathOf(each), Buffer.from([index]))))
    for (const each of many) content.check(each)
    await vi.waitFor(() => expect(events.length).toBe(64))
    content.check(many[99] as Digest)
    await vi.waitFor(() => expect(events.length).toBe(65))
  })
})

describe('ProvenFiles', () => {
  it('holds no more than its bound and forgets what was used least recently', () => {
    const files = new ProvenFiles({ maxFiles: 2 })
    const [a, b, c] = [1, 2, 3].map((name) => digestOf('sha256', hashOf(Buffer.from([name])))) as [
      Digest,
      Digest,
      Digest,
    ]
    const removed: Digest[] = []
    files.subscribe({ added: () => {}, removed: (digest) => removed.push(digest) })
    for (const digest of [a, b]) files.add(digest, { path: '', state: '', size: 1 })
    files.get(a)
    files.add(c, { path: '', state: '', size: 1 })
    expect(removed).toEqual([b])
    expect(files.digests()).toEqual([c, a])
  })
})
