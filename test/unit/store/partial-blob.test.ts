import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { createChunkLog } from '../../../src/store/chunk-log-file.ts'
import { FileSync } from '../../../src/store/file-sync.ts'
import { HashPool } from '../../../src/store/hash-pool.ts'
import { DiskPartialBlob } from '../../../src/store/partial-blob.ts'
import { WriteHealth } from '../../../src/store/write-health.ts'
import { silentLog } from '../../fakes/silent-log.ts'

const DIGEST = digestOf('sha256', 'a'.repeat(64))
const MIB = 1024 * 1024

/** A disk whose syncs the test decides about. */
class SteeredSync extends FileSync {
  readonly started: PromiseWithResolvers<void>[] = []

  override async data(): Promise<void> {
    const sync = Promise.withResolvers<void>()
    this.started.push(sync)
    await sync.promise
  }
}

describe('DiskPartialBlob', () => {
  let dir: string
  let handle: FileHandle
  let hashes: HashPool
  let sync: SteeredSync
  let calls: string[]
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-partial-'))
    hashes = new HashPool({ log: silentLog }, { maxThreads: 1 })
    sync = new SteeredSync()
    calls = []
  })
  afterEach(async () => {
    await hashes.stop()
    await rm(dir, { recursive: true })
  })

  async function made(size: number): Promise<DiskPartialBlob> {
    handle = await open(join(dir, 'data'), 'w+')
    await handle.truncate(size)
    const chunkLog = await createChunkLog(join(dir, 'log'), DIGEST, size)
    const home = {
      commit: async () => void calls.push('commit'),
      discard: async () => void calls.push('discard'),
      closed: () => void calls.push('closed'),
    }
    const writes = new WriteHealth()
    return new DiskPartialBlob(
      { hashes, sync, home, writes },
      { digest: DIGEST, plan: planChunks(size), handle, chunkLog },
    )
  }

  it('syncs every 64 MiB, one at a time, and does not make writes wait for it', async () => {
    const partial = await made(144 * MIB)
    const bytes = Buffer.alloc(16 * MIB)
    for (let position = 0; position < 144 * MIB; position += bytes.length) {
      await partial.write(position, [bytes])
      expect(sync.started.length).toBe(position + bytes.length >= 64 * MIB ? 1 : 0)
    }
    const committed = partial.commit()
    sync.started[0]?.resolve()
    await expect.poll(() => sync.started.length).toBe(2)
    expect(calls).toEqual([])
    sync.started[1]?.resolve()
    await committed
    await partial.close()
    expect(calls).toEqual(['commit', 'closed'])
  })

  it('hashes a small chunk at once while no hash thread has started, and gets the same from a thread', async () => {
    const partial = await made(2 * MIB + 1)
    await partial.write(0, [Buffer.alloc(2 * MIB + 1, 7)])
    const inline = await partial.hashChunk(1)
    expect(hashes.isReady).toBe(false)
    await partial.appendToDigest(0)
    expect(hashes.isReady).toBe(true)
    expect(await partial.hashChunk(1)).toBe(inline)
    await partial.close()
  })

  it('is not kept after a sync failed, for what is on disk is then unknown', async () => {
    const partial = await made(100)
    await partial.write(0, [Buffer.alloc(100)])
    await partial.logChunk(0, await partial.hashChunk(0), { isSure: true })
    const committed = Promise.allSettled([partial.commit()])
    await expect.poll(() => sync.started.length).toBe(1)
    sync.started[0]?.reject(Object.assign(new Error('no room'), { code: 'ENOSPC' }))
    expect((await committed)[0]).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FULL' } })
    await expect(partial.commit()).rejects.toMatchObject({ code: 'STORE_FULL' })
    await Promise.all([partial.close(), partial.close()])
    expect(calls).toEqual(['discard', 'closed'])
  })

  it('lets a commit that is under way finish before it closes', async () => {
    const partial = await made(100)
    const committed = partial.commit()
    const closed = partial.close()
    await expect.poll(() => sync.started.length).toBe(1)
    sync.started[0]?.resolve()
    await Promise.all([committed, closed])
    expect(calls).toEqual(['commit', 'closed'])
  })
})
