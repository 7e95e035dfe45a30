import { describe, expect, it } from 'vitest'
import type { CacheStatus, PullServices } from '../../../src/blob/services.ts'
import { PullLog } from '../../../src/facade/pull-log.ts'
import type { Digest } from '../../../src/oci/digest.ts'

const hex = (letter: string): Digest => `sha256:${letter.repeat(64)}` as Digest
const [CONFIG, LAYER, BIG, MANIFEST, INDEX] = [hex('c'), hex('1'), hex('2'), hex('a'), hex('b')]
const SCOPE = { repository: { registry: 'docker.io', name: 'library/app' }, authorization: undefined }
const ELSEWHERE = { repository: { registry: 'ghcr.io', name: 'app' }, authorization: undefined }
const SIZES = new Map<Digest, number>([
  [CONFIG, 5],
  [LAYER, 1_000],
  [BIG, 10_000],
])
const descriptor = (digest: Digest) => ({ digest, size: SIZES.get(digest) })
const MANIFESTS = new Map([
  [MANIFEST, { config: descriptor(CONFIG), layers: [descriptor(LAYER), descriptor(BIG)] }],
  [INDEX, { manifests: [{ digest: MANIFEST, size: 500 }] }],
])
const options = { signal: new AbortController().signal }

function setUp() {
  const world = { now: 1_000_000, status: 'hit' as CacheStatus, tagged: INDEX, isStale: false }
  const answer = async (_scope: unknown, reference: { tag: string } | { digest: Digest }) => {
    const digest = 'tag' in reference ? world.tagged : reference.digest
    const document = MANIFESTS.get(digest) ?? {}
    const bytes = Buffer.from(JSON.stringify(document))
    const stale = world.isStale ? { ageSeconds: 60 } : undefined
    return { digest, mediaType: 'application/json', size: bytes.length, stale, bytes }
  }
  const services = {
    blobs: {
      open: async (_scope: unknown, digest: Digest) => ({
        digest,
        size: SIZES.get(digest) ?? 0,
        cacheStatus: world.status,
      }),
    },
    manifests: { get: answer, head: answer },
    lists: {},
  } as unknown as PullServices
  const log = new PullLog({ services, clock: () => world.now })
  const { manifests, blobs } = log.services
  return {
    world,
    log,
    manifest: (reference: { tag: string } | { digest: Digest }, scope = SCOPE) =>
      manifests.get(scope, reference, options),
    head: (tag: string) => manifests.head(SCOPE, { tag }, options),
    open: (digest: Digest, scope = SCOPE) => blobs.open(scope, digest, options),
  }
}

describe('names', () => {
  it('are those of the image, whichever way a client comes to its blobs', async () => {
    const { log, manifest } = setUp()
    await manifest({ tag: '1.0' })
    await manifest({ digest: MANIFEST })
    for (const digest of [INDEX, MANIFEST, CONFIG, LAYER, BIG])
      expect(log.namesOf(digest)).toEqual(['docker.io/library/app:1.0'])
  })

  it('come from the tag that was only looked up', async () => {
    const { world, log, manifest, head } = setUp()
    world.tagged = MANIFEST
    await head('2.0')
    await manifest({ digest: MANIFEST })
    expect(log.namesOf(LAYER)).toEqual(['docker.io/library/app:2.0'])
  })

  it('are the repository until there is a tag, and those of every image that has the blob', async () => {
    const { world, log, manifest, open } = setUp()
    await open(LAYER)
    expect(log.namesOf(LAYER)).toEqual(['docker.io/library/app'])
    world.tagged = MANIFEST
    await manifest({ tag: '1.0' })
    await manifest({ tag: 'latest' }, ELSEWHERE)
    expect(log.namesOf(LAYER)).toEqual(['ghcr.io/app:latest', 'docker.io/library/app:1.0'])
    expect(log.namesOf(hex('f'))).toEqual([])
  })

  it('are bounded, for each blob', async () => {
    const { world, log, manifest } = setUp()
    world.tagged = MANIFEST
    for (let tag = 0; tag < 50; tag++) await manifest({ tag: `v${tag}` })
    expect(log.namesOf(LAYER)).toHaveLength(4)
    expect(log.recent()).toHaveLength(12)
  })
})

describe('a pull', () => {
  it('counts the bytes of its blobs by where they came from', async () => {
    const { world, log, manifest, open } = setUp()
    await manifest({ tag: '1.0' })
    expect(log.recent()).toEqual([])
    await manifest({ digest: MANIFEST })
    await open(CONFIG)
    world.status = 'miss'
    await open(LAYER)
    const image = 'docker.io/library/app:1.0'
    const before = { store: 5, origin: 0, peer: 0 }
    expect(log.recent()).toMatchObject([{ image, at: 1_000_000, size: 11_005, blobs: 3, done: 1, bytes: before }])
    log.arrived({ digest: LAYER, bytes: { store: 0, origin: 300, peer: 700 } })
    world.status = 'pass-through'
    await open(BIG)
    expect(log.recent()).toMatchObject([{ done: 3, bytes: { store: 5, origin: 10_300, peer: 700 }, isStale: false }])
  })

  it('counts a blob once, however often it is asked for', async () => {
    const { log, manifest, open } = setUp()
    await manifest({ digest: MANIFEST })
    await open(LAYER)
    await open(LAYER)
    log.arrived({ digest: LAYER, bytes: { store: 0, origin: 1_000, peer: 0 } })
    expect(log.recent()).toMatchObject([{ done: 1, bytes: { store: 1_000, origin: 0, peer: 0 } }])
  })

  it('is the same while the client asks again, and another one later', async () => {
    const { world, log, manifest, open } = setUp()
    await manifest({ digest: MANIFEST })
    await open(LAYER)
    world.now += 59_000
    await manifest({ digest: MANIFEST })
    expect(log.recent()).toMatchObject([{ at: world.now, done: 1 }])
    world.now += 61_000
    world.isStale = true
    await manifest({ digest: MANIFEST })
    expect(log.recent()).toMatchObject([{ at: world.now, done: 0, isStale: true }])
  })

  it('is not made of a manifest without blobs, nor of more blobs than images have', async () => {
    const { log, manifest } = setUp()
    await manifest({ digest: hex('e') })
    expect(log.recent()).toEqual([])
    const layers = Array.from({ length: 5_000 }, (_, index) => ({
      digest: `sha256:${index.toString(16).padStart(64, '0')}`,
      size: 1,
    }))
    MANIFESTS.set(hex('d'), { layers } as never)
    await manifest({ digest: hex('d') })
    expect(log.recent()).toMatchObject([{ blobs: 512, size: 512 }])
  })
})
