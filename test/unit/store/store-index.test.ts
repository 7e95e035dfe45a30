import { mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { StoreIndex } from '../../../src/store/store-index.ts'
import { StorePaths } from '../../../src/store/store-paths.ts'
import { recordingLog } from '../../fakes/silent-log.ts'

const A = digestOf('sha256', 'a'.repeat(64))
const B = digestOf('sha256', 'b'.repeat(64))

describe('StoreIndex', () => {
  const { log, entries } = recordingLog()
  let paths: StorePaths
  let now: number
  beforeEach(async () => {
    paths = new StorePaths(await mkdtemp(join(tmpdir(), 'shoal-index-')))
    await mkdir(paths.blobs, { recursive: true })
    now = 1_000
    entries.length = 0
  })
  afterEach(async () => {
    vi.useRealTimers()
    await rm(paths.dir, { recursive: true })
  })

  async function opened(): Promise<StoreIndex> {
    const index = new StoreIndex({ log, clock: () => now }, { paths })
    await index.open()
    return index
  }

  async function writeBlob(digest: Digest, size: number): Promise<void> {
    await mkdir(dirname(paths.blob(digest)), { recursive: true })
    await writeFile(paths.blob(digest), Buffer.alloc(size))
  }

  it('keeps size, times and pins across a restart', async () => {
    await writeBlob(A, 7)
    const first = await opened()
    first.add(A, 7)
    expect(first.pin(A, true)).toBe(true)
    expect(first.pin(B, true)).toBe(false)
    now = 2_000
    first.touch(A)
    first.close()
    const second = await opened()
    expect(second.get(A)).toEqual({ digest: A, size: 7, storedAt: 1_000, usedAt: 2_000, pinned: true })
    expect(second.bytes).toBe(7)
    second.close()
  })

  it('can be read by nobody else', async () => {
    const index = await opened()
    index.add(A, 7)
    for (const suffix of ['', '-wal', '-shm']) expect((await stat(paths.index + suffix)).mode & 0o077).toBe(0)
    index.close()
  })

  it('writes the last use within five seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await writeBlob(A, 7)
    const first = await opened()
    now = 3_000
    first.touch(A)
    vi.advanceTimersByTime(5_000)
    const database = new DatabaseSync(paths.index, { readOnly: true })
    expect(database.prepare('SELECT used_at FROM blobs').get()).toEqual({ used_at: 3_000 })
    database.close()
    first.close()
  })

  it('takes in what is on disk and drops what is not', async () => {
    const first = await opened()
    first.add(A, 7)
    first.close()
    await writeBlob(B, 9)
    await writeFile(join(paths.blobs, 'bb', 'a'.repeat(64)), 'in the wrong directory')
    await writeFile(join(paths.blobs, 'bb', 'notes.txt'), 'no blob')
    await writeFile(join(paths.blobs, 'a'), 'no directory')
    const second = await opened()
    expect(second.list().map(({ digest, size }) => [digest, size])).toEqual([[B, 9]])
    expect(second.bytes).toBe(9)
    expect(entries).toContainEqual(expect.objectContaining({ level: 'info', fields: { missing: 1, found: 1 } }))
    second.close()
  })

  it.each([
    ['is no database', (path: string) => writeFile(path, 'x'.repeat(5000))],
    [
      'is of another schema version',
      async (path: string) => {
        const database = new DatabaseSync(path)
        database.exec('CREATE TABLE blobs (name TEXT); PRAGMA user_version = 99')
        database.close()
      },
    ],
  ])('is rebuilt from the disk when its file %s', async (_what, damage) => {
    await writeBlob(A, 7)
    await damage(paths.index)
    const index = await opened()
    expect(index.list().map(({ digest, size }) => [digest, size])).toEqual([[A, 7]])
    index.close()
    expect(await readdir(paths.dir)).toContain('index.sqlite.damaged-1000')
  })

  it('is rebuilt when pages of its file are damaged', async () => {
    const digests = Array.from({ length: 500 }, (_, n) => digestOf('sha256', n.toString(16).padStart(64, '0')))
    for (const digest of digests) await writeBlob(digest, 1)
    ;(await opened()).close()
    const { size } = await stat(paths.index)
    const handle = await open(paths.index, 'r+')
    await handle.write(Buffer.alloc(size - 4096, 0xff), 0, size - 4096, 4096)
    await handle.close()
    const index = await opened()
    expect(index.count).toBe(500)
    index.close()
    expect(await readdir(paths.dir)).toContain('index.sqlite.damaged-1000')
  })

  it('goes on in memory, with one warning, when its file cannot be opened', async () => {
    await writeBlob(A, 7)
    await mkdir(paths.index)
    const index = await opened()
    index.add(B, 9)
    index.touch(A)
    expect(index.count).toBe(2)
    expect(index.remove(A)).toBe(true)
    expect(index.remove(A)).toBe(false)
    expect(index.bytes).toBe(9)
    index.close()
    expect(entries.filter((entry) => entry.level === 'warn').length).toBe(1)
  })
})
