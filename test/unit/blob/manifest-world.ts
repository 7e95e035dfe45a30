import { createHash } from 'node:crypto'
import { Access } from '../../../src/blob/access.ts'
import { ManifestService } from '../../../src/blob/manifest-service.ts'
import { Outages } from '../../../src/blob/outages.ts'
import { PeerKnowledge } from '../../../src/blob/peer-knowledge.ts'
import type { Origin, Scope } from '../../../src/blob/ports.ts'
import { SharedKnowledge } from '../../../src/blob/shared-knowledge.ts'
import { StatedSizes } from '../../../src/blob/stated-sizes.ts'
import { ShoalError } from '../../../src/errors.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-type.ts'
import { noTracer } from '../../../src/util/tracer.ts'
import { FakeOrigin } from '../../fakes/fake-origin.ts'
import { FakePeers } from '../../fakes/fake-peers.ts'
import { MemoryBlobStore } from '../../fakes/memory-blob-store.ts'
import { MemoryRepositoryIndex } from '../../fakes/memory-repository-index.ts'
import { silentLog } from '../../fakes/silent-log.ts'

export const never = { signal: new AbortController().signal }
export const REPOSITORY = { registry: 'named.test', name: 'app' }
export const DAY_MS = 24 * 60 * 60 * 1000

export function scopeOf(authorization?: string, repository = REPOSITORY): Scope {
  return { repository, authorization }
}

export interface Document {
  readonly digest: Digest
  readonly bytes: Buffer
  readonly mediaType: string
}

export function digestOfBytes(bytes: Uint8Array): Digest {
  return digestOf('sha256', createHash('sha256').update(bytes).digest('hex'))
}

export function blobDigest(name: string): Digest {
  return digestOfBytes(Buffer.from(name))
}

/** How `work` failed. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    return error instanceof ShoalError ? error.code : String(error)
  }
  return 'it did not fail'
}

function documentOf(fields: object, mediaType: string): Document {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields }))
  return { digest: digestOfBytes(bytes), bytes, mediaType }
}

export function image(blobs: readonly string[], layer: object = {}): Document {
  const layers = blobs.map((name) => ({ digest: blobDigest(name), ...layer }))
  return documentOf({ layers }, OCI_MANIFEST)
}

export function index(children: readonly Document[]): Document {
  const platform = { os: 'linux', architecture: 'amd64' }
  return documentOf({ manifests: children.map(({ digest }) => ({ digest, platform })) }, OCI_INDEX)
}

/** An agent's manifests with an origin, peers and a clock that do what the test says. */
export function manifestWorld(init: { shareTags?: boolean; headStartMs?: number; trusted?: readonly string[] } = {}) {
  const { shareTags = true, headStartMs = 10, trusted = [REPOSITORY.registry] } = init
  let now = 1_000_000_000
  const clock = (): number => now
  const fakeOrigin = new FakeOrigin()
  const origin = fakeOrigin as unknown as Origin
  const swarm = new FakePeers()
  const repositories = new MemoryRepositoryIndex()
  const store = new MemoryBlobStore({ clock }, { quotaBytes: 1e9 })
  const peers = new PeerKnowledge({ swarm, clock, log: silentLog })
  const outages = new Outages({ origin, clock }, { patienceMs: 10_000 })
  const access = new Access(
    { origin, repositories, outages, peers, clock, log: silentLog },
    { rememberMs: 1_000, outageMs: DAY_MS, trusted: new Set(trusted) },
  )
  const isBlobHere = async (repository: typeof REPOSITORY, digest: Digest): Promise<boolean> =>
    access.isLinked(repository, digest) && store.stat(digest) !== undefined
  const manifests = new ManifestService(
    {
      sizes: new StatedSizes(),
      origin,
      store,
      swarm,
      peers,
      repositories,
      access,
      outages,
      isBlobHere,
      clock,
      log: silentLog,
      tracer: noTracer,
    },
    { outageMs: DAY_MS, platform: { os: 'linux', architecture: 'amd64' }, headStartMs, shareTags },
  )
  return {
    manifests,
    access,
    store,
    repositories,
    swarm,
    peers,
    origin: fakeOrigin,
    knowledge: new SharedKnowledge({ origin, repositories }, { shareTags }),
    now: clock,
    pass: (ms: number): void => {
      now += ms
    },
    /** The origin has it. */
    publish: (document: Document, tag?: string): void => {
      const { digest, bytes, mediaType } = document
      fakeOrigin.manifests.set(digest, { digest, bytes, mediaType })
      if (tag !== undefined) fakeOrigin.tags.set(tag, { digest, mediaType, size: bytes.length })
    },
    /** A peer has it and all its blobs, and saw it under the tag. */
    share: (document: Document, blobs: readonly string[], seen?: { tag: string; at: number }): void => {
      swarm.small.set(document.digest, document.bytes)
      for (const name of blobs) swarm.blobs.add(blobDigest(name))
      if (seen === undefined) return
      const { digest, bytes } = document
      swarm.tags.set(seen.tag, { digest, mediaType: 'text/lie', size: bytes.length, at: seen.at })
    },
  }
}
