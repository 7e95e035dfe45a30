/** What the facade (and later the lane) is served from. All methods throw ShoalError. */
import type { Digest } from '../oci/digest.ts'
import type { TagOrDigest } from '../oci/reference.ts'
import type { Abortable, BlobReader, ListAnswer, Scope } from './ports.ts'

/** Whether a blob was here (`hit`), is fetched for this (`miss`), or goes through without being kept. */
export type CacheStatus = 'hit' | 'miss' | 'pass-through'

export interface OpenBlob extends BlobReader {
  readonly cacheStatus: CacheStatus
}

/** Set when the origin could not be asked and its last answer stands in. */
export interface Stale {
  readonly ageSeconds: number
}

export interface ManifestHead {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  readonly stale: Stale | undefined
}

export interface ManifestAnswer extends ManifestHead {
  readonly bytes: Buffer
}

export interface Blobs {
  open(scope: Scope, digest: Digest, options: Abortable): Promise<OpenBlob>
  stat(scope: Scope, digest: Digest, options: Abortable): Promise<{ readonly size: number }>
}

export interface Manifests {
  get(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestAnswer>
  head(scope: Scope, reference: TagOrDigest, options: Abortable): Promise<ManifestHead>
  /** The origin's referrers API, else its fallback tag, else an empty index. */
  referrers(scope: Scope, digest: Digest, query: URLSearchParams, options: Abortable): Promise<ListAnswer>
}

export interface Lists {
  tags(scope: Scope, query: string, options: Abortable): Promise<ListAnswer>
  catalog(
    registry: { readonly registry: string; readonly authorization: string | undefined },
    query: string,
    options: Abortable,
  ): Promise<ListAnswer>
}

export interface PullServices {
  readonly blobs: Blobs
  readonly manifests: Manifests
  readonly lists: Lists
}
