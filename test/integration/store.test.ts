import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, open, readdir, readlink, rm, stat, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { chunkEnd, chunkStart } from '../../src/blob/chunk-plan.ts'
import type { BlobStore } from '../../src/blob/ports.ts'
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts'
import { DataDirLock } from '../../src/store/data-dir-lock.ts'
import { DiskBlobStore } from '../../src/store/disk-blob-store.ts'
import { HashPool } from '../../src/store/hash-pool.ts'
import type { VerifyEvent } from '../../src/store/managed-blob-store.ts'
import { StorePaths } from '../../src/store/store-paths.ts'
import { silentLog } from '../fakes/silent-log.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const KIB = 1024
const { signal } = new AbortController()

interface Blob {
  readonly digest: Digest
  readonly bytes: Buffer
}

function blobOf(size: number): Blob {
  const bytes = randomBytes(size)
  return { bytes, digest: digestOf('sha256', createHash('sha256').update(bytes).digest('hex')) }
}

async function transfer(store: BlobStore, { digest, bytes }: Blob): Promise<void> {
  const partial = await store.openPartial(digest, bytes.length)
  await partial.write(0, [bytes])
  await partial.commit()
  await partial.close()
}

/** Writes and logs some chunks and closes. */
async function begin(store: BlobStore, { digest, bytes }: Blob, chunks: readonly number[]): Promise<void> {
  const partial = await store.openPartial(digest, bytes.length)
  for (const index of chunks) {
    const [start, end] = [chunkStart(partial.plan, index), chunkEnd(partial.plan, index)]
    await partial.write(start, [bytes.subarray(start, end)])
    await partial.logChunk(index, await partial.hashChunk(index), { isSure: true })
  }
  await partial.close()
}

async function verified(store: DiskBlobStore): Promise<VerifyEvent[]> {
  return await Array.fromAsync(store.verify({ signal }))
}

async function openFiles(under: string): Promise<number> {
  const links = await readdir('/proc/self/fd')
  const targets = await Promise.all(links.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return targets.filter((target) => target.startsWith(under)).length
}

describe('DiskBlobStore', () => {
  let dir: string
  let paths: StorePaths
  let hashes: HashPool
  let store: DiskBlobStore
  let now: number

  async function start(quotaBytes: number, where = dir): Promise<DiskBlobStore> {
    const made = new DiskBlobStore({ log: silentLog, clock: () => now, hashes }, { dir: where, quotaBytes })
    await made.start()
    return made
  }

  async function restart(quotaBytes = 100_000 * KIB): Promise<void> {
    await store.stop()
    store = await start(quotaBytes)
  }

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-store-'))
    paths = new StorePaths(dir)
    hashes = new HashPool({ log: silentLog }, { maxThreads: 2 })
    now = Date.now()
    store = await start(100_000 * KIB)
  })
  afterEach(async () => {
    await store.stop()
    await hashes.stop()
    if ((await openFiles(dir)) > 0) throw new Error('files were left open')
    await rm(dir, { recursive: true })
  })

  it('puts blobs where other tools look for them, readable by nobody else', async () => {
    const blob = blobOf(300 * KIB)
    await transfer(store, blob)
    const hex = digestHex(blob.digest)
    const file = await stat(join(dir, 'blobs/sha256', hex.slice(0, 2), hex))
    expect(file.size).toBe(blob.bytes.length)
    expect(file.mode & 0o077).toBe(0)
    expect(await readdir(join(dir, 'partial'))).toEqual([])
  })

  it('has its blobs and their partial ones again after a restart', async () => {
    const [whole, small, partial] = [blobOf(300 * KIB), blobOf(100), blobOf(800 * KIB)]
    await transfer(store, whole)
    await store.put(small.digest, small.bytes)
    await begin(store, partial, [2, 0])
    await restart()
    expect(store.stat(whole.digest)?.size).toBe(300 * KIB)
    expect(store.stat(small.digest)?.size).toBe(100)
    expect(store.partialSize(partial.digest)).toBe(800 * KIB)
    expect(store.usage).toMatchObject({ blobs: 2, blobBytes: 300 * KIB + 100, partials: 1, partialBytes: 800 * KIB })
    const opened = await store.openPartial(partial.digest, 800 * KIB)
    expect([...opened.claimed.keys()].sort((a, b) => a - b)).toEqual([0, 2])
    await opened.discard()
    expect(store.usage).toMatchObject({ partials: 0, partialBytes: 0 })
  })

  it('lets a reader read on after its blob was removed', async () => {
    const blob = blobOf(300 * KIB)
    await transfer(store, blob)
    const reader = await store.open(blob.digest)
    expect(await store.remove(blob.digest)).toBe(300 * KIB)
    expect(await store.remove(blob.digest)).toBeUndefined()
    await expect(store.open(blob.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    const target = Buffer.alloc(300 * KIB)
    expect(await reader.read(target, 0, { signal })).toBe(300 * KIB)
    expect(target).toEqual(blob.bytes)
    await reader.close()
    await expect(stat(paths.blob(blob.digest))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('keeps a blob that is stored again while it is being removed', async () => {
    const blob = blobOf(100)
    for (let round = 0; round < 20; round += 1) {
      await store.put(blob.digest, blob.bytes)
      await Promise.all([store.remove(blob.digest), store.put(blob.digest, blob.bytes)])
      await (await store.open(blob.digest)).close()
      expect(await store.remove(blob.digest)).toBe(100)
    }
  })

  it.each([
    ['has vanished', (path: string) => unlink(path)],
    ['is cut short', (path: string) => truncate(path, 5)],
  ])('drops a blob whose file %s', async (_what, damage) => {
    const blob = blobOf(100)
    await store.put(blob.digest, blob.bytes)
    await damage(paths.blob(blob.digest))
    await expect(store.open(blob.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    expect(store.stat(blob.digest)).toBeUndefined()
    await store.put(blob.digest, blob.bytes)
    await (await store.open(blob.digest)).close()
  })

  it('finds what is damaged, and drops it', async () => {
    const [good, flipped, cut] = [blobOf(300 * KIB), blobOf(300 * KIB), blobOf(300 * KIB)]
    for (const blob of [good, flipped, cut]) await transfer(store, blob)
    const handle = await open(paths.blob(flipped.digest), 'r+')
    await handle.write(Buffer.from([1, 2, 3, 4]), 0, 4, 1000)
    await handle.close()
    await truncate(paths.blob(cut.digest), 1)
    const events = await verified(store)
    const size = 300 * KIB
    expect(events.at(0)).toEqual({ step: 'started', blobs: 3, bytes: 3 * size })
    expect(events.at(-1)).toEqual({ step: 'finished', good: 1, damaged: 2, unchecked: 0 })
    expect(events).toContainEqual({ step: 'damaged', digest: flipped.digest, size, reason: 'wrong digest' })
    const reason = 'missing or of the wrong length'
    expect(events).toContainEqual({ step: 'damaged', digest: cut.digest, size, reason })
    expect(store.list().map((blob) => blob.digest)).toEqual([good.digest])
    expect((await verified(store)).at(-1)).toEqual({ step: 'finished', good: 1, damaged: 0, unchecked: 0 })
  })

  it('stops to verify when nobody waits for it any more', async () => {
    for (const blob of [blobOf(10), blobOf(10)]) await store.put(blob.digest, blob.bytes)
    for await (const event of store.verify({ signal })) if (event.step === 'good') break
    const left = AbortSignal.abort(new Error('left'))
    await expect(Array.fromAsync(store.verify({ signal: left }))).rejects.toThrow('left')
    expect(store.usage.blobs).toBe(2)
  })

  describe('within its quota', () => {
    it('evicts what was used least recently, but nothing that is pinned or open', async () => {
      await restart(1000 * KIB)
      const [pinned, open, old, used] = [blobOf(200 * KIB), blobOf(200 * KIB), blobOf(200 * KIB), blobOf(200 * KIB)]
      for (const blob of [pinned, open, old, used]) {
        now += 1000
        await transfer(store, blob)
      }
      store.pin(pinned.digest, true)
      const reader = await store.open(open.digest)
      now += 1000
      await (await store.open(used.digest)).close()
      await transfer(store, blobOf(300 * KIB))
      expect(store.stat(old.digest)).toBeUndefined()
      for (const blob of [pinned, open, used]) expect(store.stat(blob.digest)).toBeDefined()
      await reader.close()
    })

    it('spares the partial blobs of running transfers and counts them at their full size', async () => {
      await restart(1000 * KIB)
      const [running, next] = [blobOf(700 * KIB), blobOf(400 * KIB)]
      const partial = await store.openPartial(running.digest, running.bytes.length)
      await expect(store.openPartial(next.digest, next.bytes.length)).rejects.toMatchObject({ code: 'STORE_FULL' })
      await partial.close()
      await transfer(store, next)
      expect(store.usage.partials).toBe(0)
    })

    it('spares a committed blob while its transfer still reads it', async () => {
      await restart(1000 * KIB)
      const [first, next] = [blobOf(700 * KIB), blobOf(400 * KIB)]
      const partial = await store.openPartial(first.digest, first.bytes.length)
      await partial.write(0, [first.bytes])
      await partial.commit()
      await expect(store.openPartial(next.digest, next.bytes.length)).rejects.toMatchObject({ code: 'STORE_FULL' })
      await partial.close()
      await transfer(store, next)
      expect(store.stat(first.digest)).toBeUndefined()
    })

    it('gives up partial blobs that nobody took up for a week before any blob', async () => {
      const [blob, abandoned] = [blobOf(300 * KIB), blobOf(600 * KIB)]
      now -= DAY_MS
      await transfer(store, blob)
      await begin(store, abandoned, [0])
      const then = new Date(now - 8 * DAY_MS)
      for (const path of [paths.partial(abandoned.digest), paths.chunkLog(abandoned.digest)])
        await utimes(path, then, then)
      await restart(1000 * KIB)
      await transfer(store, blobOf(300 * KIB))
      expect(store.stat(blob.digest)).toBeDefined()
      expect(store.partialSize(abandoned.digest)).toBeUndefined()
    })

    it('collects down to what may be kept', async () => {
      for (let number = 0; number < 4; number += 1) {
        now += 1000
        await transfer(store, blobOf(100 * KIB))
      }
      const { removed, freedBytes } = await store.collect({ keepBytes: 200 * KIB })
      expect({ count: removed.length, freedBytes }).toEqual({ count: 2, freedBytes: 200 * KIB })
      expect(store.usage.blobBytes).toBe(200 * KIB)
    })

    it('counts nothing for what failed or was given up', async () => {
      const blob = blobOf(300 * KIB)
      const partial = await store.openPartial(blob.digest, blob.bytes.length)
      await partial.discard()
      await expect(store.openPartial(blobOf(1).digest, 1e12)).rejects.toMatchObject({ code: 'STORE_FULL' })
      expect(store.isWritable).toBe(true)
      expect(store.usage).toMatchObject({ blobs: 0, blobBytes: 0, partials: 0, partialBytes: 0 })
    })
  })

  describe('taking up a partial blob', () => {
    const blob = blobOf(1000 * KIB)

    async function claimed(): Promise<number[]> {
      const partial = await store.openPartial(blob.digest, blob.bytes.length)
      const indexes = [...partial.claimed.keys()].sort((a, b) => a - b)
      await partial.discard()
      return indexes
    }

    it('loses only the record that a crash tore off, and goes on after it', async () => {
      await begin(store, blob, [0, 1, 2])
      const log = paths.chunkLog(blob.digest)
      await truncate(log, (await stat(log)).size - 3)
      await restart()
      await begin(store, blob, [3])
      await restart()
      expect(await claimed()).toEqual([0, 1, 3])
    })

    it.each([
      ['the data is missing', () => unlink(paths.partial(blob.digest))],
      ['the data is of another length', () => truncate(paths.partial(blob.digest), 5)],
      ['the log is missing', () => unlink(paths.chunkLog(blob.digest))],
      ['the log is not one of ours', () => writeFile(paths.chunkLog(blob.digest), 'x'.repeat(200))],
    ])('begins anew when %s, before and after a restart', async (_what, damage) => {
      await begin(store, blob, [0, 1])
      await damage()
      expect(await claimed()).toEqual([])
      await begin(store, blob, [0, 1])
      await damage()
      await restart()
      expect(store.partialSize(blob.digest)).toBeUndefined()
      expect(await readdir(join(dir, 'partial'))).toEqual([])
    })
  })

  it('waits for hash jobs before it lets go of a file', async () => {
    const blob = blobOf(4000 * KIB)
    const partial = await store.openPartial(blob.digest, blob.bytes.length)
    await partial.write(0, [blob.bytes])
    const settled: string[] = []
    const jobs = [...Array(partial.plan.count).keys()].map((index) =>
      partial.hashChunk(index).then(() => settled.push('job')),
    )
    await partial.discard()
    settled.push('discarded')
    await Promise.all(jobs)
    expect(settled.at(-1)).toBe('discarded')
  })

  it('takes nothing after it stopped', async () => {
    await store.stop()
    await expect(store.openPartial(blobOf(1).digest, 1)).rejects.toMatchObject({ code: 'STOPPING' })
    await expect(store.put(blobOf(1).digest, Buffer.alloc(1))).rejects.toMatchObject({ code: 'STOPPING' })
    store = await start(1000)
  })

  it('cannot start where there is no directory to be made', async () => {
    await writeFile(join(dir, 'file'), '')
    await expect(start(1000, join(dir, 'file', 'data'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await rm(join(dir, 'file'))
  })

  // A disk of its own takes a mount, and a mount takes root.
  describe.skipIf(process.getuid?.() !== 0)('on a small disk', () => {
    let disk: string
    beforeEach(async () => {
      disk = await mkdtemp(join(tmpdir(), 'shoal-disk-'))
      execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk])
    })
    afterEach(async () => {
      execFileSync('/bin/umount', ['--lazy', disk])
      await rm(disk, { recursive: true })
    })

    it('says STORE_FULL when the disk fills up under it, and serves on', async () => {
      await using small = await start(100_000 * KIB, disk)
      const [kept, cut] = [blobOf(500 * KIB), blobOf(2500 * KIB)]
      await transfer(small, kept)
      const reader = await small.open(kept.digest)
      const partial = await small.openPartial(cut.digest, cut.bytes.length)
      await writeFile(join(disk, 'ballast'), Buffer.alloc(10_000 * KIB)).catch(() => {})
      await expect(partial.write(0, [cut.bytes])).rejects.toMatchObject({ code: 'STORE_FULL' })
      await expect(small.put(blobOf(1000).digest, Buffer.alloc(1000))).rejects.toMatchObject({ code: 'STORE_FULL' })
      await partial.close()
      expect(small.isWritable).toBe(false)
      const target = Buffer.alloc(500 * KIB)
      expect(await reader.read(target, 0, { signal })).toBe(500 * KIB)
      await reader.close()
      await rm(join(disk, 'ballast'))
      expect(small.isWritable).toBe(false)
      await transfer(small, blobOf(300 * KIB))
      expect(small.isWritable).toBe(true)
    })

    it('says that a disk which fills up takes nothing, before a blob is tried, and when it has room again', async () => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      onTestFinished(() => void vi.useRealTimers())
      await using small = await start(100_000 * KIB, disk)
      const becomes = async (isWritable: boolean): Promise<void> => {
        vi.advanceTimersByTime(5_000)
        await expect.poll(() => small.isWritable).toBe(isWritable)
      }
      await writeFile(join(disk, 'ballast'), Buffer.alloc(10_000 * KIB)).catch(() => {})
      await becomes(false)
      await rm(join(disk, 'ballast'))
      await becomes(true)
      // what could be evicted is room
      await transfer(small, blobOf(3000 * KIB))
      await writeFile(join(disk, 'ballast'), Buffer.alloc(10_000 * KIB)).catch(() => {})
      vi.advanceTimersByTime(5_000)
      await transfer(small, blobOf(2000 * KIB))
      expect(small.isWritable).toBe(true)
    })

    it('makes room on a disk that is smaller than the quota', async () => {
      await using small = await start(100_000 * KIB, disk)
      const blobs = [1, 2, 3, 4, 5].map(() => blobOf(1000 * KIB))
      for (const blob of blobs) {
        now += 1000
        await transfer(small, blob)
      }
      expect(small.stat(blobs[4]?.digest as Digest)).toBeDefined()
      expect(small.stat(blobs[0]?.digest as Digest)).toBeUndefined()
    })

    it('starts on a full disk, and on a read-only one, and serves what it has', async () => {
      const blob = blobOf(100 * KIB)
      const other = blobOf(100)
      const first = await start(100_000 * KIB, disk)
      await transfer(first, blob)
      await first.stop()
      await rm(join(disk, 'index.sqlite'))
      await writeFile(join(disk, 'ballast'), Buffer.alloc(10_000 * KIB)).catch(() => {})
      using lock = new DataDirLock({ dir: disk })
      lock.acquire()
      lock.release()
      const full = await start(100_000 * KIB, disk)
      await (await full.open(blob.digest)).close()
      await full.stop()
      execFileSync('/bin/mount', ['-o', 'remount,ro', disk])
      const readOnly = await start(100_000 * KIB, disk)
      await (await readOnly.open(blob.digest)).close()
      expect(readOnly.isWritable).toBe(true)
      await expect(readOnly.put(other.digest, other.bytes)).rejects.toMatchObject({ code: 'STORE_FULL' })
      await expect(readOnly.openPartial(other.digest, 100)).rejects.toMatchObject({ code: 'STORE_FULL' })
      await expect(readOnly.remove(blob.digest)).rejects.toMatchObject({ code: 'STORE_FULL' })
      expect(readOnly.stat(blob.digest)).toBeDefined()
      expect(readOnly.isWritable).toBe(false)
      await readOnly.stop()
    })
  })
})
