/**
 * What clients pulled of late, and by which names blobs were asked for: for people to see, nothing is decided on it.
 *
 * Owns a bounded memory of both. Sits between the facade and its services, and hands everything on unchanged.
 */
import type { Scope } from '../blob/ports.ts'
import type { CacheStatus, ManifestAnswer, PullServices } from '../blob/services.ts'
import type { TransferView } from '../blob/transfer-view.ts'
import { readManifest } from '../oci/manifest.ts'
import type { Repository, TagOrDigest } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import { lru } from '../util/lru.ts'
import type { SourceBytes } from './transfers-api.ts'

const MAX_PULLS = 12
const MAX_NAMED = 4_096
const MAX_NAMES = 4
const MAX_INDEXES = 512
/** Of one manifest: real ones have at most 128 layers. */
const MAX_BLOBS = 512
/** The same image again within this time is the same pull. */
const SAME_PULL_MS = 60_000

export interface Pull {
  /** With its tag, if the client named one. */
  readonly image: string
  /** Of its manifest. */
  readonly digest: string
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Bytes of its config and layers, as the manifest says. */
  readonly size: number
  readonly blobs: number
  /** Blobs that were asked for, and are complete here. */
  readonly done: number
  /** Of these blobs. */
  readonly bytes: SourceBytes
  /** The registry could not be asked for the tag: what was seen last stands in. */
  readonly isStale: boolean
}

interface OpenPull extends Pull {
  at: number
  done: number
  bytes: SourceBytes
  readonly awaited: Set<string>
}

export interface PullLogComponents {
  readonly services: PullServices
  readonly clock: Clock
}

export class PullLog {
  /** To be used in the place of those it was given. */
  readonly services: PullServices
  readonly #clock: Clock
  readonly #names = lru<string, readonly string[]>(MAX_NAMED)
  /** Image and digest of those that were read before: clients ask for the same one all the time. */
  readonly #indexes = lru<string, true>(MAX_INDEXES)
  /** The newest first. */
  readonly #pulls: OpenPull[] = []

  constructor({ services, clock }: PullLogComponents) {
    this.#clock = clock
    const { blobs, manifests, lists } = services
    this.services = {
      lists,
      blobs: {
        stat: (scope, digest, options) => blobs.stat(scope, digest, options),
        open: async (scope, digest, options) => {
          if (!this.#names.has(digest)) this.#name(digest, textOf(scope.repository))
          const blob = await blobs.open(scope, digest, options)
          this.#opened(digest, blob.cacheStatus, blob.size)
          return blob
        },
      },
      manifests: {
        referrers: (...asked) => manifests.referrers(...asked),
        head: async (scope, reference, options) => {
          const head = await manifests.head(scope, reference, options)
          this.#imageOf(scope, reference, head.digest)
          return head
        },
        get: async (scope, reference, options) => {
          const answer = await manifests.get(scope, reference, options)
          this.#pulled(this.#imageOf(scope, reference, answer.digest), answer)
          return answer
        },
      },
    }
  }

  /** Images, or repositories, by which clients asked for it; of the blobs of an index or manifest too. */
  namesOf(digest: string): readonly string[] {
    return this.#names.peek(digest) ?? []
  }

  /** The newest first. */
  recent(): readonly Pull[] {
    return this.#pulls.map(({ image, digest, at, size, blobs, done, bytes, isStale }) => {
      return { image, digest, at, size, blobs, done, bytes, isStale }
    })
  }

  /** A blob has come, and these are its bytes. */
  arrived({ digest, bytes }: Pick<TransferView, 'digest' | 'bytes'>): void {
    this.#count(digest, bytes)
  }

  #imageOf({ repository }: Scope, reference: TagOrDigest, digest: string): string {
    const name = textOf(repository)
    if ('tag' in reference) return this.#name(digest, `${name}:${reference.tag}`)
    const known = this.namesOf(digest).find((other) => other.startsWith(`${name}:`))
    return known ?? this.#name(digest, name)
  }

  #name(digest: string, name: string): string {
    const known = this.#names.get(digest) ?? []
    // a tag says more than its repository alone
    const others = known.filter((other) => other !== name && !name.startsWith(`${other}:`))
    if (known[0] !== name) this.#names.set(digest, [name, ...others].slice(0, MAX_NAMES))
    return name
  }

  #pulled(image: string, { digest, bytes, stale }: ManifestAnswer): void {
    if (this.#indexes.get(`${image} ${digest}`) === true) return
    const now = this.#clock()
    const at = this.#pulls.findIndex((pull) => pull.image === image && pull.digest === digest)
    const [before] = at < 0 ? [] : this.#pulls.splice(at, 1)
    if (before !== undefined && now - before.at < SAME_PULL_MS) {
      before.at = now
      this.#pulls.unshift(before)
      return
    }
    const { manifests, blobs, sizes } = readManifest(bytes)
    const listed = blobs.slice(0, MAX_BLOBS)
    for (const child of [...manifests.map((one) => one.digest), ...listed].slice(0, MAX_BLOBS)) this.#name(child, image)
    if (listed.length === 0) {
      this.#indexes.set(`${image} ${digest}`, true)
      return
    }
    this.#pulls.unshift({
      image,
      digest,
      at: now,
      size: listed.reduce((sum, blob) => sum + (sizes.get(blob) ?? 0), 0),
      blobs: listed.length,
      done: 0,
      bytes: { store: 0, origin: 0, peer: 0 },
      isStale: stale !== undefined,
      awaited: new Set(listed),
    })
    this.#pulls.length = Math.min(this.#pulls.length, MAX_PULLS)
  }

  #opened(digest: string, status: CacheStatus, size: number): void {
    if (status === 'hit') this.#count(digest, { store: size, origin: 0, peer: 0 })
    if (status === 'pass-through') this.#count(digest, { store: 0, origin: size, peer: 0 })
  }

  #count(digest: string, bytes: SourceBytes): void {
    for (const pull of this.#pulls) {
      if (!pull.awaited.delete(digest)) continue
      const { store, origin, peer } = pull.bytes
      pull.bytes = { store: store + bytes.store, origin: origin + bytes.origin, peer: peer + bytes.peer }
      pull.done += 1
    }
  }
}

function textOf({ registry, name }: Repository): string {
  return `${registry}/${name}`
}
