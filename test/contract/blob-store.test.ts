import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chunkEnd, chunkStart, planChunks } from '../../src/blob/chunk-plan.ts'
import type { BlobStore, PartialBlob } from '../../src/blob/ports.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { DiskBlobStore } from '../../src/store/disk-blob-store.ts'
import { HashPool } from '../../src/store/hash-pool.ts'
import { MemoryBlobStore } from '../fakes/memory-blob-store.ts'
import { silentLog } from '../fakes/silent-log.ts'

const QUOTA_BYTES = 8 * 1024 * 1024
const SIZE = 3 * 256 * 1024 + 1000
const { signal } = new AbortController()

interface Made extends AsyncDisposable {
  readonly store: BlobStore
}

async function onDisk(): Promise<Made> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-store-'))
  const hashes = new HashPool({ log: silentLog }, { maxThreads: 2 })
  const store = new DiskBlobStore({ log: silentLog, clock: Date.now, hashes }, { dir, quotaBytes: QUOTA_BYTES })
  await store.start()
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store.stop()
      await hashes.stop()
      await rm(dir, { recursive: true })
    },
  }
}

async function inMemory(): Promise<Made> {
  const store = new MemoryBlobStore({ clock: Date.now }, { quotaBytes: QUOTA_BYTES })
  return { store, [Symbol.asyncDispose]: async () => {} }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function blobOf(size: number): { bytes: Buffer; digest: Digest } {
  const bytes = randomBytes(size)
  return { bytes, digest: digestOf('sha256', hashOf(bytes)) }
}

async function readAll(store: BlobStore, digest: Digest): Promise<Buffer> {
  const reader = await store.open(digest)
  const target = Buffer.alloc(reader.size)
  let position = 0
  for (;;) {
    const count = await reader.read(target.subarray(position, position + 100_000), position, { signal })
    if (count === 0) break
    position += count
  }
  await reader.close()
  return target.subarray(0, position)
}

function chunkOf(partial: PartialBlob, bytes: Buffer, index: number): Buffer {
  return bytes.subarray(chunkStart(partial.plan, index), chunkEnd(partial.plan, index))
}

async function writeChunk(partial: PartialBlob, bytes: Buffer, index: number): Promise<void> {
  await partial.write(chunkStart(partial.plan, index), [chunkOf(partial, bytes, index)])
}

describe.each([
  ['on disk', onDisk],
  ['in memory', inMemory],
])('a blob store %s', (_name, make) => {
  let made: Made
  let store: BlobStore
  beforeEach(async () => {
    made = await make()
    store = made.store
  })
  afterEach(async () => {
    await made[Symbol.asyncDispose]()
  })

  it('knows nothing of a blob that was never stored', async () => {
    const { digest } = blobOf(1)
    expect(store.stat(digest)).toBeUndefined()
    expect(store.partialSize(digest)).toBeUndefined()
    await expect(store.open(digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  })

  it.each([0, 1, 70_000])('gives back a blob of %i bytes that was put', async (size) => {
    const { bytes, digest } = blobOf(size)
    await Promise.all([store.put(digest, bytes), store.put(digest, bytes)])
    expect(store.stat(digest)).toMatchObject({ digest, size, pinned: false })
    expect(await readAll(store, digest)).toEqual(bytes)
  })

  it('reads at any position, no further than the target or the end of the blob', async () => {
    const { bytes, digest } = blobOf(1000)
    await store.put(digest, bytes)
    const reader = await store.open(digest)
    const target = Buffer.alloc(300)
    expect(await reader.read(target, 100, { signal })).toBe(300)
    expect(target).toEqual(bytes.subarray(100, 400))
    expect(await reader.read(target, 900, { signal })).toBe(100)
    expect(target.subarray(0, 100)).toEqual(bytes.subarray(900))
    expect(await reader.read(target, 1000, { signal })).toBe(0)
    await reader.close()
    await reader.close()
    await expect(reader.read(target, 0, { signal })).rejects.toMatchObject({ code: 'STORE_FAILED' })
  })

  it('does not read for a caller who has left', async () => {
    const { bytes, digest } = blobOf(10)
    await store.put(digest, bytes)
    const reader = await store.open(digest)
    const left = AbortSignal.abort(new Error('left'))
    await expect(reader.read(Buffer.alloc(10), 0, { signal: left })).rejects.toThrow('left')
    await reader.close()
  })

  it('refuses what is larger than the quota and digests it cannot hold', async () => {
    const { digest } = blobOf(1)
    const sha512 = digestOf('sha512', 'a'.repeat(128))
    await expect(store.openPartial(digest, QUOTA_BYTES + 1)).rejects.toMatchObject({ code: 'STORE_FULL' })
    await expect(store.put(digest, Buffer.alloc(QUOTA_BYTES + 1))).rejects.toMatchObject({ code: 'STORE_FULL' })
    await expect(store.openPartial(sha512, 1)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(store.put(sha512, Buffer.alloc(1))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    expect(store.stat(sha512)).toBeUndefined()
    const partial = await store.openPartial(digest, 1)
    await partial.discard()
  })

  it('makes a blob of chunks that were written out of order', async () => {
    const { bytes, digest } = blobOf(SIZE)
    const partial = await store.openPartial(digest, SIZE)
    expect(partial.claimed.size).toBe(0)
    for (const index of [3, 1, 0, 2]) await writeChunk(partial, bytes, index)
    for (const index of [0, 1, 2, 3]) {
      const hash = hashOf(chunkOf(partial, bytes, index))
      expect(await partial.hashChunk(index)).toBe(hash)
      expect(await partial.appendToDigest(index)).toBe(hash)
    }
    expect(await partial.finishDigest()).toBe(digest)
    expect(store.stat(digest)).toBeUndefined()
    await partial.commit()
    await partial.close()
    expect(store.stat(digest)?.size).toBe(SIZE)
    expect(store.partialSize(digest)).toBeUndefined()
    expect(await readAll(store, digest)).toEqual(bytes)
  })

  it('makes a blob of no bytes', async () => {
    const { digest } = blobOf(0)
    const partial = await store.openPartial(digest, 0)
    expect(await partial.appendToDigest(0)).toBe(hashOf(Buffer.alloc(0)))
    expect(await partial.finishDigest()).toBe(digest)
    await partial.commit()
    await partial.close()
    expect(await readAll(store, digest)).toEqual(Buffer.alloc(0))
  })

  it('writes a list of buffers one after the other and nothing beyond the end', async () => {
    const { bytes, digest } = blobOf(100)
    const partial = await store.openPartial(digest, 100)
    await partial.write(0, [bytes.subarray(0, 10), bytes.subarray(10, 10), bytes.subarray(10, 60)])
    await partial.write(60, [bytes.subarray(60)])
    await partial.write(100, [])
    await expect(partial.write(99, [Buffer.alloc(2)])).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(partial.write(-1, [Buffer.alloc(1)])).rejects.toMatchObject({ code: 'INTERNAL' })
    const target = Buffer.alloc(200)
    expect(await partial.read(target, 0)).toBe(100)
    expect(target.subarray(0, 100)).toEqual(bytes)
    expect(await partial.read(target, 100)).toBe(0)
    await partial.discard()
  })

  it('appends to the running digest in order only, and starts it again', async () => {
    const { bytes, digest } = blobOf(SIZE)
    const partial = await store.openPartial(digest, SIZE)
    for (const index of [0, 1, 2, 3]) await writeChunk(partial, bytes, index)
    await expect(partial.appendToDigest(1)).rejects.toMatchObject({ code: 'INTERNAL' })
    await partial.appendToDigest(0)
    await expect(partial.appendToDigest(0)).rejects.toMatchObject({ code: 'INTERNAL' })
    partial.restartDigest()
    for (const index of [0, 1, 2, 3]) await partial.appendToDigest(index)
    expect(await partial.finishDigest()).toBe(digest)
    await partial.discard()
  })

  it('keeps a closed partial blob and claims the chunks that were logged, the last hash of each', async () => {
    const { bytes, digest } = blobOf(SIZE)
    const first = await store.openPartial(digest, SIZE)
    await writeChunk(first, bytes, 1)
    await first.logChunk(1, 'f'.repeat(64), { isSure: true })
    await first.logChunk(1, await first.hashChunk(1), { isSure: true })
    await first.close()
    await first.close()
    expect(store.partialSize(digest)).toBe(SIZE)
    const second = await store.openPartial(digest, SIZE)
    expect([...second.claimed]).toEqual([[1, hashOf(chunkOf(second, bytes, 1))]])
    expect(second.unsure.size).toBe(0)
    expect(await second.hashChunk(1)).toBe(second.claimed.get(1))
    await second.discard()
    expect(store.partialSize(digest)).toBeUndefined()
    expect(store.stat(digest)).toBeUndefined()
  })

  it('keeps which chunks rest on the word of one peer, until they are logged as sure', async () => {
    const { bytes, digest } = blobOf(SIZE)
    const first = await store.openPartial(digest, SIZE)
    for (const index of [1, 2]) {
      await writeChunk(first, bytes, index)
      await first.logChunk(index, await first.hashChunk(index), { isSure: false })
    }
    await first.logChunk(2, await first.hashChunk(2), { isSure: true })
    await first.close()
    const second = await store.openPartial(digest, SIZE)
    expect([...second.unsure]).toEqual([1])
    await second.discard()
  })

  it('takes the hash of a chunk that is known for the digest', async () => {
    const { bytes, digest } = blobOf(SIZE)
    const partial = await store.openPartial(digest, SIZE)
    for (const index of [0, 1, 2, 3]) await writeChunk(partial, bytes, index)
    for (const index of [0, 1, 2, 3]) {
      const known = await partial.hashChunk(index)
      expect(await partial.appendToDigest(index, known)).toBe(known)
    }
    expect(await partial.finishDigest()).toBe(digest)
    await partial.commit()
    await partial.close()
  })

  it('keeps nothing of a partial blob without a logged chunk', async () => {
    const { bytes, digest } = blobOf(SIZE)
    const partial = await store.openPartial(digest, SIZE)
    await writeChunk(partial, bytes, 0)
    await partial.close()
    expect(store.partialSize(digest)).toBeUndefined()
  })

  it('drops a kept partial blob when the size is another', async () => {
    const { bytes, digest } = blobOf(SIZE)
    const first = await store.openPartial(digest, SIZE)
    await writeChunk(first, bytes, 0)
    await first.logChunk(0, await first.hashChunk(0), { isSure: true })
    await first.close()
    const second = await store.openPartial(digest, SIZE - 1)
    expect(second.claimed.size).toBe(0)
    expect(second.plan.size).toBe(SIZE - 1)
    await second.discard()
  })

  it('opens one partial blob of a digest at a time', async () => {
    const { digest } = blobOf(SIZE)
    const [first, second] = await Promise.allSettled([store.openPartial(digest, SIZE), store.openPartial(digest, SIZE)])
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FAILED' } })
    if (first.status === 'rejected') throw first.reason
    await first.value.close()
    await (await store.openPartial(digest, SIZE)).discard()
  })

  it.each(['commit', 'discard', 'close'] as const)('takes nothing more after %s', async (end) => {
    const { bytes, digest } = blobOf(100)
    const partial = await store.openPartial(digest, 100)
    await partial.write(0, [bytes])
    await partial[end]()
    const failed = { code: 'STORE_FAILED' }
    await expect(partial.write(0, [bytes])).rejects.toMatchObject(failed)
    await expect(partial.logChunk(0, 'a'.repeat(64), { isSure: true })).rejects.toMatchObject(failed)
    await expect(partial.hashChunk(0)).rejects.toMatchObject(failed)
    await expect(partial.appendToDigest(0)).rejects.toMatchObject(failed)
    await expect(partial.commit()).rejects.toMatchObject(failed)
    await expect(partial.discard()).rejects.toMatchObject(failed)
    await partial.close()
  })

  it('lets reads go on after a commit, until it is closed', async () => {
    const { bytes, digest } = blobOf(100)
    const partial = await store.openPartial(digest, 100)
    await partial.write(0, [bytes])
    const target = Buffer.alloc(100)
    const [count] = await Promise.all([partial.read(target, 0), partial.commit()])
    expect(target.subarray(0, count)).toEqual(bytes)
    expect(await partial.read(target, 50)).toBe(50)
    await partial.close()
    await expect(partial.read(target, 0)).rejects.toMatchObject({ code: 'STORE_FAILED' })
  })

  it('opens the same digest anew while the committed partial blob is still read', async () => {
    const { bytes, digest } = blobOf(100)
    const first = await store.openPartial(digest, 100)
    await first.write(0, [bytes])
    await first.commit()
    const second = await store.openPartial(digest, 100)
    await first.close()
    await expect(store.openPartial(digest, 100)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await second.discard()
    expect(await readAll(store, digest)).toEqual(bytes)
  })

  it.each([
    [0, 1],
    [70_000, 1],
    [SIZE, 4],
  ])('gives the hash of every chunk of a blob of %i bytes that was put', async (size, count) => {
    const { bytes, digest } = blobOf(size)
    await store.put(digest, bytes)
    const hashes = await store.chunkHashes(digest, { signal })
    const plan = planChunks(size)
    const expected = Array.from({ length: count }, (_, index) =>
      hashOf(bytes.subarray(chunkStart(plan, index), chunkEnd(plan, index))),
    )
    expect(hashes).toEqual(expected)
  })

  it('gives the hash of every chunk of a blob that came in chunks, and of nothing that is not complete', async () => {
    const { bytes, digest } = blobOf(SIZE)
    const partial = await store.openPartial(digest, SIZE)
    const expected: string[] = []
    for (const index of [0, 1, 2, 3]) {
      await writeChunk(partial, bytes, index)
      expected.push(await partial.appendToDigest(index))
    }
    await partial.finishDigest()
    expect(await store.chunkHashes(digest, { signal })).toBeUndefined()
    await partial.commit()
    expect(await store.chunkHashes(digest, { signal })).toEqual(expected)
    await partial.close()
    const left = AbortSignal.abort(new Error('left'))
    await expect(store.chunkHashes(digest, { signal: left })).rejects.toThrow('left')
  })

  it('tells what has come, once, until nobody listens', async () => {
    const events: string[] = []
    const end = store.subscribe({
      added: (digest) => events.push(`added ${digest}`),
      removed: (digest) => events.push(`removed ${digest}`),
    })
    const [put, committed, late] = [blobOf(10), blobOf(100), blobOf(20)]
    await store.put(put.digest, put.bytes)
    await store.put(put.digest, put.bytes)
    const partial = await store.openPartial(committed.digest, 100)
    await partial.write(0, [committed.bytes])
    expect(events).toEqual([`added ${put.digest}`])
    await partial.commit()
    await partial.close()
    end()
    await store.put(late.digest, late.bytes)
    expect(events).toEqual([`added ${put.digest}`, `added ${committed.digest}`])
  })
})
