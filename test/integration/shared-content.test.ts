import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Announcer } from '../../src/blob/announcer.ts'
import { LocalContent } from '../../src/blob/shared-content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { CheckedHostContent } from '../../src/store/checked-host-content.ts'
import { DiskBlobStore } from '../../src/store/disk-blob-store.ts'
import { HashPool } from '../../src/store/hash-pool.ts'
import { HostContent } from '../../src/store/host-content.ts'
import { hostPath } from '../../src/store/host-file.ts'
import { silentLog } from '../fakes/silent-log.ts'

const SIZE = 400 * 1024
const REGISTRY = 'registry.example'
const { signal } = new AbortController()

interface Blob {
  readonly digest: Digest
  readonly bytes: Buffer
}

function blobOf(size = SIZE): Blob {
  const bytes = randomBytes(size)
  return { bytes, digest: digestOf('sha256', createHash('sha256').update(bytes).digest('hex')) }
}

async function openFiles(under: string): Promise<string[]> {
  const links = await readdir('/proc/self/fd')
  const targets = await Promise.all(links.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return targets.filter((target) => target.startsWith(under))
}

describe('content on disk, as peers may have it', () => {
  let dir: string
  let layout: string
  let hashes: HashPool
  let store: DiskBlobStore
  let hostContent: CheckedHostContent
  let content: LocalContent
  let announced: Set<Digest>
  let announcer: Announcer
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-shared-'))
    layout = join(dir, 'layout')
    hashes = new HashPool({ log: silentLog }, { maxThreads: 1 })
    store = new DiskBlobStore(
      { log: silentLog, clock: Date.now, hashes },
      { dir: join(dir, 'data'), quotaBytes: 3 * SIZE },
    )
    await store.start()
    const host = new HostContent({ log: silentLog, hashes }, { dirs: [layout] })
    hostContent = new CheckedHostContent({ log: silentLog, hashes, proven: host.proven }, { dirs: [layout] })
    content = new LocalContent({
      store,
      hostContent,
      access: { mayVouch: (registry) => registry === REGISTRY },
      runningTransfer: () => undefined,
      knowledge: { tag: () => undefined, admittedAt: () => undefined, isLinked: () => false },
    })
    announced = new Set()
    announcer = new Announcer({
      content,
      directory: { announce: (key) => void announced.add(key), withdraw: (key) => void announced.delete(key) },
    })
  })
  afterEach(async () => {
    announcer.stop()
    await hostContent.stop()
    await store.stop()
    await hashes.stop()
    const left = await openFiles(dir)
    await rm(dir, { recursive: true })
    if (left.length > 0) throw new Error(`files were left open: ${left.join(', ')}`)
  })

  async function put({ digest, bytes }: Blob): Promise<void> {
    await store.put(digest, bytes)
  }

  it('is not evicted under a peer that reads it, nor cut when it is removed', async () => {
    const [read, other] = [blobOf(), blobOf()]
    await put(read)
    await put(other)
    const reader = await content.open(read.digest, REGISTRY)
    for (let count = 0; count < 4; count += 1) await put(blobOf())
    expect(content.find(read.digest, REGISTRY)).toBeDefined()
    expect(content.find(other.digest, REGISTRY)).toBeUndefined()
    await store.remove(read.digest)
    expect(content.find(read.digest, REGISTRY)).toBeUndefined()
    const target = Buffer.alloc(SIZE)
    expect(await reader.read(target, 0, { signal })).toBe(SIZE)
    expect(target).toEqual(read.bytes)
    await reader.close()
  })

  it('is announced while it is here: from the start, when it comes, and until it goes', async () => {
    const blobs = Array.from({ length: 5 }, () => blobOf())
    await put(blobs[0] as Blob)
    announcer.start()
    expect([...announced]).toEqual([blobs[0]?.digest])
    for (const blob of blobs.slice(1)) await put(blob)
    expect([...announced].sort()).toEqual(
      store
        .list()
        .map((blob) => blob.digest)
        .sort(),
    )
    expect(announced.size).toBeLessThanOrEqual(3)
    for (const { digest } of store.list()) await store.remove(digest)
    expect(announced.size).toBe(0)
  })

  it('is content of the host once somebody wanted it', async () => {
    const hosted = blobOf()
    await mkdir(dirname(hostPath(layout, hosted.digest)), { recursive: true })
    await writeFile(hostPath(layout, hosted.digest), hosted.bytes)
    announcer.start()
    expect(content.find(hosted.digest, 'other.example')).toBeUndefined()
    expect(content.find(hosted.digest, REGISTRY)).toBeUndefined()
    await vi.waitFor(() => expect([...announced]).toEqual([hosted.digest]))
    expect(content.find(hosted.digest, REGISTRY)).toMatchObject({ size: SIZE, isComplete: true })
    expect((await content.chunkHashes(hosted.digest, { signal }))?.length).toBe(2)
    const reader = await content.open(hosted.digest, REGISTRY)
    const target = Buffer.alloc(SIZE)
    await reader.read(target, 0, { signal })
    await reader.close()
    expect(target).toEqual(hosted.bytes)
    await rm(layout, { recursive: true })
    await expect(content.open(hosted.digest, REGISTRY)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    expect(announced.size).toBe(0)
  })
})
