import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ChunkPlan, chunkEnd, chunkStart, planChunks } from '../../src/blob/chunk-plan.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { DiskBlobStore } from '../../src/store/disk-blob-store.ts'
import { HashPool } from '../../src/store/hash-pool.ts'
import { StorePaths } from '../../src/store/store-paths.ts'
import { silentLog } from '../fakes/silent-log.ts'

const SIZE = 1000 * 1024
const { signal } = new AbortController()

/** Counts the files it hashes as a whole. */
class CountingPool extends HashPool {
  passes = 0
  running = 0
  mostAtOnce = 0

  override async hashChunks(
    fd: number,
    plan: ChunkPlan,
    options: { signal: AbortSignal },
  ): Promise<{ hash: string; chunks: readonly string[] }> {
    this.passes += 1
    this.running += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running)
    try {
      return await super.hashChunks(fd, plan, options)
    } finally {
      this.running -= 1
    }
  }
}

interface Blob {
  readonly digest: Digest
  readonly bytes: Buffer
  readonly hashes: readonly string[]
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function blobOf(size = SIZE): Blob {
  const bytes = randomBytes(size)
  const plan = planChunks(size)
  const hashes = Array.from({ length: plan.count }, (_, index) =>
    hashOf(bytes.subarray(chunkStart(plan, index), chunkEnd(plan, index))),
  )
  return { bytes, digest: digestOf('sha256', hashOf(bytes)), hashes }
}

describe('chunk hashes of a store on disk', () => {
  let dir: string
  let paths: StorePaths
  let hashes: CountingPool
  let store: DiskBlobStore

  async function start(): Promise<void> {
    store = new DiskBlobStore({ log: silentLog, clock: Date.now, hashes }, { dir, quotaBytes: 100 * 1024 * 1024 })
    await store.start()
  }

  async function restart(): Promise<void> {
    await store.stop()
    await start()
  }

  async function transfer({ digest, bytes }: Blob): Promise<void> {
    const partial = await store.openPartial(digest, bytes.length)
    await partial.write(0, [bytes])
    for (let index = 0; index < partial.plan.count; index += 1) await partial.appendToDigest(index)
    expect(await partial.finishDigest()).toBe(digest)
    await partial.commit()
    await partial.close()
  }

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-maps-'))
    paths = new StorePaths(dir)
    hashes = new CountingPool({ log: silentLog }, { maxThreads: 2 })
    await start()
  })
  afterEach(async () => {
    await store.stop()
    await hashes.stop()
    await rm(dir, { recursive: true })
  })

  it('are kept from a transfer, across restarts, and nothing is hashed for them', async () => {
    const blob = blobOf()
    await transfer(blob)
    expect(await store.chunkHashes(blob.digest, { signal })).toEqual(blob.hashes)
    await restart()
    expect(await store.chunkHashes(blob.digest, { signal })).toEqual(blob.hashes)
    expect(hashes.passes).toBe(0)
  })

  it('are not taken from a transfer whose chunks were not all in the digest that matched', async () => {
    const blob = blobOf()
    const partial = await store.openPartial(blob.digest, SIZE)
    await partial.write(0, [Buffer.alloc(SIZE)])
    for (let index = 0; index < partial.plan.count; index += 1) await partial.appendToDigest(index)
    await partial.finishDigest()
    await partial.write(0, [blob.bytes])
    await partial.commit()
    await partial.close()
    expect(existsSync(paths.map(blob.digest))).toBe(false)
    expect(await store.chunkHashes(blob.digest, { signal })).toEqual(blob.hashes)
  })

  it('are those of the last round when the digest was started again', async () => {
    const blob = blobOf()
    const partial = await store.openPartial(blob.digest, SIZE)
    await partial.write(0, [Buffer.alloc(SIZE)])
    await partial.appendToDigest(0)
    partial.restartDigest()
    await partial.write(0, [blob.bytes])
    for (let index = 0; index < partial.plan.count; index += 1) await partial.appendToDigest(index)
    await partial.finishDigest()
    await partial.commit()
    await partial.close()
    expect(await store.chunkHashes(blob.digest, { signal })).toEqual(blob.hashes)
    expect(hashes.passes).toBe(0)
  })

  it.each([
    ['is missing', (path: string) => unlink(path)],
    ['is cut short', (path: string) => truncate(path, 60)],
    ['has a flipped bit', (path: string) => flip(path)],
    [
      'is a directory',
      (path: string) =>
        unlink(path)
          .then(() => mkdir(path))
          .then(() => {}),
    ],
  ])('are computed once, and kept, when the map %s', async (_what, damage) => {
    const blob = blobOf()
    await transfer(blob)
    await damage(paths.map(blob.digest))
    await restart()
    const all = await Promise.all([1, 2, 3].map(() => store.chunkHashes(blob.digest, { signal })))
    expect(all).toEqual([blob.hashes, blob.hashes, blob.hashes])
    expect(await store.chunkHashes(blob.digest, { signal })).toEqual(blob.hashes)
    expect(hashes.passes).toBe(1)
    expect(await store.remove(blob.digest)).toBe(SIZE)
    expect(existsSync(paths.map(blob.digest))).toBe(false)
  })

  it('are on disk again after they were computed', async () => {
    const blob = blobOf()
    await transfer(blob)
    const before = await readFile(paths.map(blob.digest))
    await rm(paths.maps, { recursive: true })
    await restart()
    await store.chunkHashes(blob.digest, { signal })
    expect(await readFile(paths.map(blob.digest))).toEqual(before)
  })

  it('are computed for one blob at a time', async () => {
    const blobs = [blobOf(), blobOf(), blobOf()]
    for (const { digest, bytes } of blobs) await store.put(digest, bytes)
    const all = await Promise.all(blobs.map(({ digest }) => store.chunkHashes(digest, { signal })))
    expect(all).toEqual(blobs.map((blob) => blob.hashes))
    expect(hashes.mostAtOnce).toBe(1)
  })

  it('are not given for a damaged blob, which is dropped', async () => {
    const blob = blobOf()
    await store.put(blob.digest, blob.bytes)
    await flip(paths.blob(blob.digest))
    expect(await store.chunkHashes(blob.digest, { signal })).toBeUndefined()
    expect(store.stat(blob.digest)).toBeUndefined()
    const cut = blobOf()
    await store.put(cut.digest, cut.bytes)
    await truncate(paths.blob(cut.digest), 5)
    expect(await store.chunkHashes(cut.digest, { signal })).toBeUndefined()
    expect(store.stat(cut.digest)).toBeUndefined()
  })

  it('need no file for a blob of one chunk', async () => {
    const blob = blobOf(100)
    await transfer(blob)
    await restart()
    expect(await store.chunkHashes(blob.digest, { signal })).toEqual([hashOf(blob.bytes)])
    expect(await readdir(dir)).not.toContain('maps')
  })

  it('go with their blob, whether it is removed, evicted or found damaged', async () => {
    const [removed, evicted, damaged, stays] = [blobOf(), blobOf(), blobOf(), blobOf()]
    for (const blob of [evicted, removed, damaged, stays]) await transfer(blob)
    store.pin(stays.digest, true)
    store.pin(damaged.digest, true)
    await store.remove(removed.digest)
    await store.collect({ keepBytes: 0 })
    await flip(paths.blob(damaged.digest))
    await Array.fromAsync(store.verify({ signal }))
    for (const { digest } of [removed, evicted, damaged]) {
      expect(store.stat(digest)).toBeUndefined()
      expect(existsSync(paths.map(digest))).toBe(false)
    }
    expect(existsSync(paths.map(stays.digest))).toBe(true)
  })

  it.each([
    ['at the start', () => restart()],
    ['by a collection', () => store.collect()],
  ])('that were left over are removed %s', async (_when, sweep) => {
    const [gone, stays] = [blobOf(), blobOf()]
    await transfer(stays)
    const strays = [paths.map(gone.digest), join(paths.maps, 'zz', 'stray'), `${paths.map(stays.digest)}.old`]
    for (const path of strays) {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, 'left over')
    }
    await sweep()
    for (const path of strays) expect(existsSync(path)).toBe(false)
    expect(existsSync(paths.map(stays.digest))).toBe(true)
  })

  it('do not keep a store from stopping, nor a caller from leaving', async () => {
    const [blob, waits] = [blobOf(30 * 1024 * 1024), blobOf()]
    for (const { digest, bytes } of [blob, waits]) await store.put(digest, bytes)
    const leaving = new AbortController()
    const left = store.chunkHashes(waits.digest, { signal: leaving.signal })
    leaving.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    const [cut] = await Promise.allSettled([store.chunkHashes(blob.digest, { signal }), restart()])
    expect(cut).toMatchObject({ status: 'rejected', reason: { code: 'STOPPING' } })
    expect(hashes.running).toBe(0)
    expect(await store.chunkHashes(blob.digest, { signal })).toEqual(blob.hashes)
  })

  it('are given while the blob is removed and stored again', async () => {
    const blob = blobOf()
    for (let round = 0; round < 10; round += 1) {
      await store.put(blob.digest, blob.bytes)
      const [found] = await Promise.all([
        store.chunkHashes(blob.digest, { signal }),
        store.remove(blob.digest),
        store.put(blob.digest, blob.bytes),
      ])
      expect([undefined, ...blob.hashes]).toContain(found?.[0])
      await store.remove(blob.digest)
      expect(existsSync(paths.map(blob.digest))).toBe(false)
    }
  })
})

async function flip(path: string): Promise<void> {
  const handle = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, 70)
  await handle.write(Buffer.from([byte.readUInt8() ^ 1]), 0, 1, 70)
  await handle.close()
}
