import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BlobReader, ChunkHash, ContentEvents, SharedBlob } from '../../../src/blob/ports.ts'
import { type CheckedContent, LocalContent, type SharedTransfer } from '../../../src/blob/shared-content.ts'
import { ShoalError } from '../../../src/errors.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { FakeBlobReader, patternBytes, sha256Of } from '../../fakes/fake-blob-reader.ts'
import { MemoryBlobStore } from '../../fakes/memory-blob-store.ts'

const { signal } = new AbortController()
const stored = patternBytes(600_000)
const hosted = patternBytes(500_000)
const arriving = patternBytes(700_000)
const [storedDigest, hostedDigest, arrivingDigest] = [stored, hosted, arriving].map(sha256Of) as [
  Digest,
  Digest,
  Digest,
]

class FakeHostContent implements CheckedContent {
  isEmpty = false
  readonly good = new Map<Digest, Buffer>()
  readonly checked: Digest[] = []
  readonly listeners = new Set<ContentEvents>()

  size(digest: Digest): number | undefined {
    return this.good.get(digest)?.length
  }

  digests(): Iterable<Digest> {
    return this.good.keys()
  }

  check(digest: Digest): void {
    this.checked.push(digest)
  }

  async open(digest: Digest): Promise<BlobReader> {
    const bytes = this.good.get(digest)
    if (bytes === undefined) throw new ShoalError('BLOB_UNKNOWN', 'gone')
    return new FakeBlobReader(bytes)
  }

  async chunkHashes(digest: Digest): Promise<readonly ChunkHash[] | undefined> {
    return this.good.has(digest) ? ['of the host'] : undefined
  }

  subscribe(events: ContentEvents): () => void {
    this.listeners.add(events)
    return () => this.listeners.delete(events)
  }
}

class FakeTransfer implements SharedTransfer {
  readonly registry = 'there.example'
  hasAny = true

  shared(): SharedBlob | undefined {
    if (!this.hasAny) return undefined
    const [digest, size] = [arrivingDigest, arriving.length]
    return { digest, size, isComplete: false, has: (index) => index === 1, statements: [], claims: new Map() }
  }

  openShared(): BlobReader {
    return new FakeBlobReader(arriving)
  }
}

describe('LocalContent', () => {
  let now: number
  let store: MemoryBlobStore
  let hostContent: FakeHostContent
  let running: FakeTransfer | undefined
  let vouched: Set<string>
  let asked: string[]
  let content: LocalContent
  let readers: BlobReader[]
  beforeEach(async () => {
    now = 1
    store = new MemoryBlobStore({ clock: () => now++ }, { quotaBytes: 10_000_000 })
    hostContent = new FakeHostContent()
    running = undefined
    vouched = new Set(['here.example'])
    asked = []
    readers = []
    content = new LocalContent({
      store,
      hostContent,
      access: {
        mayVouch: (registry) => {
          asked.push(registry)
          return vouched.has(registry)
        },
      },
      runningTransfer: (digest) => (digest === arrivingDigest ? running : undefined),
      knowledge: { tag: () => undefined, admittedAt: () => 5, isLinked: () => true },
    })
    await store.put(storedDigest, stored)
  })
  afterEach(async () => {
    await Promise.all(readers.map((reader) => reader.close()))
    if (store.openReaders > 0) throw new Error('readers were left open')
  })

  async function open(digest: Digest, registry: string): Promise<Buffer> {
    const reader = await content.open(digest, registry)
    readers.push(reader)
    const target = Buffer.alloc(reader.size)
    await reader.read(target, 0, { signal })
    return target
  }

  it('gives complete blobs in the name of registries that may vouch for them, and of no others', async () => {
    const found = content.find(storedDigest, 'here.example')
    expect(found).toMatchObject({ digest: storedDigest, size: 600_000, isComplete: true, statements: [] })
    expect([-1, 0, 2, 3, 0.5].map((index) => found?.has(index))).toEqual([false, true, true, false, false])
    expect(await open(storedDigest, 'here.example')).toEqual(stored)
    expect(content.find(storedDigest, 'evil.example')).toBeUndefined()
    await expect(content.open(storedDigest, 'evil.example')).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    expect(hostContent.checked).toEqual([])
  })

  it('gives content of the host once it is known to be good, and has it checked when it is asked for', async () => {
    expect(content.find(hostedDigest, 'here.example')).toBeUndefined()
    expect(content.find(hostedDigest, 'evil.example')).toBeUndefined()
    expect(hostContent.checked).toEqual([hostedDigest])
    await expect(content.open(hostedDigest, 'here.example')).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    hostContent.good.set(hostedDigest, hosted)
    expect(content.find(hostedDigest, 'here.example')).toMatchObject({ size: 500_000, isComplete: true })
    expect(await open(hostedDigest, 'here.example')).toEqual(hosted)
    expect(content.find(hostedDigest, 'evil.example')).toBeUndefined()
    expect(await content.chunkHashes(hostedDigest, { signal })).toEqual(['of the host'])
  })

  it('gives what a transfer under way has, also in the name of the registry it fetches from', async () => {
    running = new FakeTransfer()
    for (const registry of ['there.example', 'here.example']) {
      const found = content.find(arrivingDigest, registry)
      expect(found?.isComplete).toBe(false)
      expect(found?.has(1)).toBe(true)
      expect(await open(arrivingDigest, registry)).toEqual(arriving)
    }
    expect(content.find(arrivingDigest, 'evil.example')).toBeUndefined()
    await expect(content.open(arrivingDigest, 'evil.example')).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    running.hasAny = false
    expect(content.find(arrivingDigest, 'there.example')).toBeUndefined()
    await expect(content.open(arrivingDigest, 'there.example')).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  })

  it('gives the transfer to whom the registry of the complete blob means nothing', async () => {
    running = new FakeTransfer()
    await store.put(arrivingDigest, arriving)
    expect(content.find(arrivingDigest, 'there.example')?.isComplete).toBe(false)
    expect(content.find(arrivingDigest, 'here.example')?.isComplete).toBe(true)
  })

  it('asks about no registry for what is not here', () => {
    hostContent.isEmpty = true
    expect(content.find(arrivingDigest, 'made-up.example')).toBeUndefined()
    expect(asked).toEqual([])
    expect(hostContent.checked).toEqual([])
  })

  it.each(['HERE.example', 'here.example/', '', '../..', 'x'.repeat(10_000)])('takes %j for no registry', (name) => {
    vouched.add(name)
    expect(content.find(storedDigest, name)).toBeUndefined()
    expect(asked).toEqual([])
  })

  it('has nothing under digests that the store cannot hold', () => {
    expect(content.find(digestOf('sha512', 'a'.repeat(128)), 'here.example')).toBeUndefined()
    expect(hostContent.checked).toEqual([])
  })

  it('counts what peers read as a use, and nothing else', async () => {
    const before = store.stat(storedDigest)?.usedAt
    content.find(storedDigest, 'here.example')
    await content.chunkHashes(storedDigest, { signal })
    expect(store.stat(storedDigest)?.usedAt).toBe(before)
    await open(storedDigest, 'here.example')
    expect(store.stat(storedDigest)?.usedAt).toBeGreaterThan(before ?? 0)
  })

  it('lists what is complete, most recently used first, each once', async () => {
    await store.put(hostedDigest, hosted)
    hostContent.good.set(hostedDigest, hosted)
    hostContent.good.set(arrivingDigest, arriving)
    await open(storedDigest, 'here.example')
    expect([...content.digests()]).toEqual([storedDigest, hostedDigest, arrivingDigest])
  })

  it('tells what comes, and what goes when it is nowhere any more', async () => {
    const events: string[] = []
    const end = content.subscribe({
      added: (digest) => events.push(`added ${digest}`),
      removed: (digest) => events.push(`removed ${digest}`),
    })
    await store.put(hostedDigest, hosted)
    hostContent.good.set(hostedDigest, hosted)
    store.remove(hostedDigest)
    expect(events).toEqual([`added ${hostedDigest}`])
    hostContent.good.delete(hostedDigest)
    for (const listener of hostContent.listeners) listener.removed(hostedDigest)
    expect(events).toEqual([`added ${hostedDigest}`, `removed ${hostedDigest}`])
    end()
    expect(hostContent.listeners.size).toBe(0)
    store.remove(storedDigest)
    expect(events.length).toBe(2)
  })

  it('tells what the agent itself learnt from origins', () => {
    const repository = { registry: 'here.example', name: 'app' }
    expect(content.tag(repository, 'v1')).toBeUndefined()
    expect(content.admittedAt(repository, ['anonymous'])).toBe(5)
    expect(content.isLinked(repository, storedDigest)).toBe(true)
  })
})
