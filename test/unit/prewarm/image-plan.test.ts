import { describe, expect, it } from 'vitest'
import type { ManifestAnswer } from '../../../src/blob/services.ts'
import { ShoalError } from '../../../src/errors.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-type.ts'
import { planImage } from '../../../src/prewarm/image-plan.ts'
import { sha256 } from '../../fixtures/image.ts'

const REPOSITORY = { registry: 'r.test', name: 'app' }
const AMD64 = { os: 'linux', architecture: 'amd64' }
const { signal } = new AbortController()

/** A repository that is asked by tag or digest, and counts how often. */
class Repository {
  readonly manifests = new Map<string, Buffer>()
  gets = 0

  add(document: unknown, tag?: string): { digest: Digest; size: number } {
    const bytes = Buffer.from(JSON.stringify(document))
    const digest = sha256(bytes)
    this.manifests.set(digest, bytes)
    if (tag !== undefined) this.manifests.set(tag, bytes)
    return { digest, size: bytes.length }
  }

  async get(_scope: unknown, reference: { tag: string } | { digest: string }): Promise<ManifestAnswer> {
    this.gets += 1
    const bytes = this.manifests.get('tag' in reference ? reference.tag : reference.digest)
    if (bytes === undefined) throw new ShoalError('MANIFEST_UNKNOWN', 'no such manifest')
    return { digest: sha256(bytes), mediaType: OCI_MANIFEST, size: bytes.length, bytes, stale: undefined }
  }

  async plan(platforms: Parameters<typeof planImage>[2] = [AMD64]) {
    const top = await this.get(undefined, { tag: 'v1' })
    return await planImage({ manifests: this }, { repository: REPOSITORY, top }, platforms, { signal })
  }
}

const blob = (text: string, size = 10) => ({ digest: sha256(Buffer.from(text)), size })
const image = (...layers: object[]) => ({ config: blob(JSON.stringify(layers)), layers })

describe('what belongs to an image', () => {
  it('is its config and its layers, each once, with those that are had elsewhere marked', async () => {
    const repository = new Repository()
    const foreign = { ...blob('windows', 99), urls: ['https://elsewhere.test/x'] }
    repository.add(image(blob('a'), blob('a'), foreign), 'v1')
    const { blobs, platforms } = await repository.plan()
    expect(blobs.map(({ size, isElsewhere }) => [size, isElsewhere])).toEqual([
      [10, false],
      [10, false],
      [99, true],
    ])
    expect(platforms).toEqual([])
  })

  it('of an index in an index is what is made for the platform; a manifest that comes twice is read once', async () => {
    const repository = new Repository()
    const one = repository.add(image(blob('a')))
    const inner = repository.add({ manifests: [{ ...one, platform: AMD64 }] })
    repository.add({ manifests: [{ ...inner, platform: AMD64 }, one] }, 'v1')
    expect((await repository.plan()).blobs).toHaveLength(2)
    expect(repository.gets).toBe(3)
    repository.gets = 0
    expect((await repository.plan('all')).blobs).toHaveLength(2)
    expect(repository.gets).toBe(3)
  })

  it('is refused when an index is nested without end, or lists too much', async () => {
    const deep = new Repository()
    let below = deep.add(image(blob('a')))
    for (let depth = 0; depth < 6; depth++) below = deep.add({ manifests: [{ ...below, platform: AMD64 }] }, 'v1')
    await expect(deep.plan()).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
    const wide = new Repository()
    const children = Array.from({ length: 300 }, (_, index) => wide.add(image(blob(`${index}`))))
    wide.add({ manifests: children }, 'v1')
    await expect(wide.plan('all')).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
    const long = new Repository()
    long.add(image(...Array.from({ length: 5_000 }, (_, index) => blob(`${index}`))), 'v1')
    await expect(long.plan()).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  })

  it('is nothing when a manifest on the way is missing, or is none', async () => {
    const repository = new Repository()
    repository.add({ manifests: [{ ...blob('gone'), platform: AMD64 }] }, 'v1')
    await expect(repository.plan()).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    repository.add('nonsense', 'v1')
    expect((await repository.plan()).blobs).toEqual([])
  })
})
