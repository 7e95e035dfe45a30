import { describe, expect, it } from 'vitest'
import { Access } from '../../../src/blob/access.ts'
import { BlobService } from '../../../src/blob/blob-service.ts'
import { Outages } from '../../../src/blob/outages.ts'
import { PeerKnowledge } from '../../../src/blob/peer-knowledge.ts'
import type { Abortable, Origin, Scope, TransferMetrics } from '../../../src/blob/ports.ts'
import { StatedSizes } from '../../../src/blob/stated-sizes.ts'
import { ShoalError } from '../../../src/errors.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { noTracer } from '../../../src/util/tracer.ts'
import { FakeSource, type Faults } from '../../fakes/fake-source.ts'
import { digestOfBytes, FakePeer, FakeSwarm, falsified, statementOf } from '../../fakes/fake-swarm.ts'
import { MemoryBlobStore } from '../../fakes/memory-blob-store.ts'
import { MemoryRepositoryIndex } from '../../fakes/memory-repository-index.ts'
import { silentLog } from '../../fakes/silent-log.ts'
import { readAll } from '../../fakes/transfer-world.ts'
import { randomBytesOf } from '../../fixtures/random-bytes.ts'

const CHUNK = 256 * 1024
const BLOB = randomBytesOf('blob service', 8 * CHUNK + 1234)
const DIGEST = digestOfBytes(BLOB)
const SCOPE: Scope = { repository: { registry: 'named.test', name: 'app' }, authorization: undefined }
const OUT = new ShoalError('ORIGIN_UNAVAILABLE', 'out')
const DENIED = new ShoalError('DENIED', 'no')
const { signal } = new AbortController()

/** An origin with one blob. */
class FakeOrigin implements Pick<Origin, 'identity' | 'hasLiveMirror' | 'checkBlob' | 'blobSource'> {
  readonly sources: FakeSource[] = []
  readonly faults: Partial<Faults> = {}
  heads = 0
  headError: ShoalError | undefined
  bytes = BLOB

  identity(): ReturnType<Origin['identity']> {
    return { key: 'anonymous', kind: 'anonymous' }
  }

  hasLiveMirror(): boolean {
    return false
  }

  async checkBlob(_scope: Scope, _digest: Digest, options: Abortable): Promise<number> {
    options.signal.throwIfAborted()
    this.heads += 1
    if (this.headError !== undefined) throw this.headError
    return this.bytes.length
  }

  blobSource(): FakeSource {
    const source = new FakeSource({ kind: 'origin', id: 'named.test', bytes: this.bytes, faults: this.faults })
    this.sources.push(source)
    return source
  }

  /** Of the bytes. */
  get gets(): number {
    return this.sources.reduce((sum, { requests }) => sum + requests.length, 0)
  }

  fail(error: ShoalError): void {
    this.headError = error
    this.faults.refusal = error
  }
}

function setUp() {
  const origin = new FakeOrigin()
  const swarm = new FakeSwarm()
  const store = new MemoryBlobStore({ clock: Date.now }, { quotaBytes: 2 ** 30 })
  const repositories = new MemoryRepositoryIndex()
  const port = origin as unknown as Origin
  const outages = new Outages({ origin: port, clock: Date.now }, { patienceMs: 1_000 })
  const peers = new PeerKnowledge({ swarm, clock: Date.now, log: silentLog })
  const access = new Access(
    { origin: port, repositories, outages, peers, clock: Date.now, log: silentLog },
    { rememberMs: 60_000, outageMs: 60_000, trusted: new Set(['named.test']) },
  )
  const ignored: TransferMetrics = {
    received: () => {},
    wasted: () => {},
    duplicated: () => {},
    transferEnded: () => {},
    verified: () => {},
    rejected: () => {},
    passedThrough: () => {},
  }
  const hostContent = { open: async () => undefined, has: async () => false }
  const blobs = new BlobService(
    {
      sizes: new StatedSizes(),
      store,
      hostContent,
      origin: port,
      swarm,
      access,
      repositories,
      metrics: ignored,
      tracer: noTracer,
      clock: Date.now,
      log: silentLog,
    },
    { headStartMs: 30, holdBackMs: 10_000, seed: 'seed' },
  )
  const pull = async (): Promise<Buffer> => {
    const blob = await blobs.open(SCOPE, DIGEST, { signal })
    const { seen, error } = await readAll(blob)
    await blob.close()
    if (error !== undefined) throw error
    return seen
  }
  const idle = (): Promise<void> => expect.poll(() => blobs.list()).toEqual([])
  const admitted = (): void => access.answered(access.principal(SCOPE), DIGEST)
  return { origin, swarm, store, access, blobs, pull, idle, admitted }
}

function withPeers(swarm: FakeSwarm, ...ids: string[]): FakePeer[] {
  return ids.map((id) => {
    const peer = new FakePeer(id, BLOB)
    swarm.add(peer, statementOf(id, DIGEST, BLOB))
    return peer
  })
}

describe('a blob that peers have', () => {
  it('does not touch the origin when the client is known to be admitted', async () => {
    const { origin, swarm, pull, admitted } = setUp()
    withPeers(swarm, 'a', 'b')
    admitted()
    expect((await pull()).equals(BLOB)).toBe(true)
    expect([origin.heads, origin.gets]).toEqual([0, 0])
  })

  it('is given only to a client that the origin admits: it is asked, and sends no bytes', async () => {
    const { origin, swarm, pull } = setUp()
    withPeers(swarm, 'a', 'b')
    expect((await pull()).equals(BLOB)).toBe(true)
    expect([origin.heads, origin.gets]).toEqual([1, 0])
  })

  it('is refused to a client that the origin refuses, and is not fetched for it', async () => {
    const { origin, swarm, store, pull, idle } = setUp()
    const peers = withPeers(swarm, 'a', 'b')
    for (const peer of peers) peer.faults.pieceMs = 20
    origin.fail(DENIED)
    await expect(pull()).rejects.toMatchObject({ code: 'DENIED' })
    await idle()
    expect(store.stat(DIGEST)).toBeUndefined()
  })

  it('is refused too when the origin was asked for the bytes and refuses before anything has begun', async () => {
    const { origin, swarm, pull } = setUp()
    withPeers(swarm, 'a')
    origin.fail(DENIED)
    await expect(pull()).rejects.toMatchObject({ code: 'DENIED' })
    expect(origin.gets).toBe(1)
  })

  it('can be had when the origin is out and the client was admitted before', async () => {
    const { origin, swarm, pull, admitted } = setUp()
    withPeers(swarm, 'a')
    admitted()
    origin.fail(OUT)
    expect((await pull()).equals(BLOB)).toBe(true)
  })

  it('cannot be had when the origin is out and nobody knows of the client', async () => {
    const { origin, swarm, pull } = setUp()
    withPeers(swarm, 'a')
    origin.fail(OUT)
    await expect(pull()).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
  })

  it('has a size also when the origin cannot be asked for it', async () => {
    const { origin, swarm, blobs, admitted } = setUp()
    withPeers(swarm, 'a')
    admitted()
    origin.fail(OUT)
    expect(await blobs.stat(SCOPE, DIGEST, { signal })).toEqual({ size: BLOB.length })
  })

  it('is shown to peers while it is on its way', async () => {
    const { swarm, blobs, admitted } = setUp()
    for (const peer of withPeers(swarm, 'a', 'b')) peer.faults.pieceMs = 5
    admitted()
    const blob = await blobs.open(SCOPE, DIGEST, { signal })
    await expect.poll(() => blobs.runningTransfer(DIGEST)?.shared()).toMatchObject({ size: BLOB.length })
    await readAll(blob)
    await blob.close()
    await expect.poll(() => blobs.runningTransfer(DIGEST)).toBeUndefined()
  })
})

describe('a blob that nobody else has', () => {
  it('is asked for at once when there are no peers', async () => {
    const { origin, swarm, pull } = setUp()
    swarm.hasPeers = false
    swarm.searchMs = 60_000
    const begun = performance.now()
    const pulling = pull()
    await expect.poll(() => origin.gets, { interval: 1 }).toBe(1)
    expect(performance.now() - begun).toBeLessThan(25)
    expect((await pulling).equals(BLOB)).toBe(true)
  })

  it('is asked for at once when the search has ended', async () => {
    const { origin, swarm, pull } = setUp()
    const begun = performance.now()
    const pulling = pull()
    await expect.poll(() => origin.gets, { interval: 1 }).toBe(1)
    expect(performance.now() - begun).toBeLessThan(25)
    expect((await pulling).equals(BLOB)).toBe(true)
    expect(swarm.announced).toEqual([DIGEST])
  })

  it('waits for a slow search no longer than the head start', async () => {
    const { origin, swarm, pull } = setUp()
    swarm.searchMs = 60_000
    const begun = performance.now()
    const pulling = pull()
    await expect.poll(() => origin.gets, { interval: 1 }).toBeGreaterThan(0)
    expect(performance.now() - begun).toBeLessThan(500)
    expect((await pulling).equals(BLOB)).toBe(true)
  })
})

describe('peers that lie together', () => {
  it('spoil one pull: the next one asks the origin first, and the registry is not blamed', async () => {
    const { origin, swarm, pull, idle, admitted } = setUp()
    const lie = falsified(BLOB, [1])
    for (const id of ['a', 'b']) swarm.add(new FakePeer(id, lie), statementOf(id, DIGEST, lie))
    admitted()
    origin.fail(OUT)
    await expect(pull()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    await idle()
    origin.faults.refusal = undefined
    origin.headError = undefined
    const before = origin.gets
    for (let time = 0; time < 3; time++) expect((await pull()).equals(BLOB)).toBe(true)
    expect(origin.gets - before).toBe(1)
  })
})
