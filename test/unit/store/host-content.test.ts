import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Digest, digestHex, digestOf } from '../../../src/oci/digest.ts'
import { HashPool } from '../../../src/store/hash-pool.ts'
import { HostContent } from '../../../src/store/host-content.ts'
import { recordingLog } from '../../fakes/silent-log.ts'

const bytes = randomBytes(100_000)
const digest = digestOf('sha256', createHash('sha256').update(bytes).digest('hex'))
const { signal } = new AbortController()

/** Counts the files it hashes. */
class CountingPool extends HashPool {
  files = 0

  override hashFile(fd: number, size: number, options: { signal: AbortSignal }): Promise<string> {
    this.files += 1
    return super.hashFile(fd, size, options)
  }
}

describe('HostContent', () => {
  const { log, entries } = recordingLog()
  let dir: string
  let hashes: CountingPool
  let content: HostContent
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-host-'))
    await mkdir(join(dir, 'layout/blobs/sha256'), { recursive: true })
    hashes = new CountingPool({ log }, { maxThreads: 1 })
    content = new HostContent({ log, hashes }, { dirs: [join(dir, 'nowhere'), join(dir, 'layout')] })
    entries.length = 0
  })
  afterEach(async () => {
    await hashes.stop()
    await rm(dir, { recursive: true })
  })

  const pathOf = (of: Digest): string => join(dir, 'layout/blobs/sha256', digestHex(of))

  it('gives what a directory has, and hashes it once for many callers', async () => {
    await writeFile(pathOf(digest), bytes)
    const readers = await Promise.all([1, 2, 3].map(() => content.open(digest, { signal })))
    const target = Buffer.alloc(bytes.length)
    for (const reader of readers) {
      expect(reader?.size).toBe(bytes.length)
      expect(await reader?.read(target, 0, { signal })).toBe(bytes.length)
      expect(target).toEqual(bytes)
      await reader?.close()
    }
    await (await content.open(digest, { signal }))?.close()
    expect(hashes.files).toBe(1)
  })

  it('has nothing of what no directory has', async () => {
    expect(await content.open(digest, { signal })).toBeUndefined()
    expect(await content.open(digestOf('sha512', 'a'.repeat(128)), { signal })).toBeUndefined()
    await mkdir(pathOf(digest))
    expect(await content.open(digest, { signal })).toBeUndefined()
  })

  it('does not use a file without its digest, and looks again when it has changed', async () => {
    await writeFile(pathOf(digest), bytes.subarray(1))
    expect(await content.open(digest, { signal })).toBeUndefined()
    expect(await content.open(digest, { signal })).toBeUndefined()
    expect(hashes.files).toBe(1)
    expect(entries.map((entry) => entry.level)).toEqual(['warn'])
    await writeFile(pathOf(digest), bytes)
    const reader = await content.open(digest, { signal })
    expect(reader?.size).toBe(bytes.length)
    await reader?.close()
  })

  it('gives no bytes of a file that changed after it was opened', async () => {
    await writeFile(pathOf(digest), bytes)
    const reader = await content.open(digest, { signal })
    await appendFile(pathOf(digest), 'more')
    await expect(reader?.read(Buffer.alloc(10), 0, { signal })).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await reader?.close()
  })

  it('lets a caller leave while the others wait', async () => {
    await writeFile(pathOf(digest), bytes)
    const leaving = new AbortController()
    const left = content.open(digest, { signal: leaving.signal })
    const stays = content.open(digest, { signal })
    leaving.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    const reader = await stays
    expect(reader?.size).toBe(bytes.length)
    await reader?.close()
  })
})
