import type { Digest } from '../oci/digest.ts'
import { readManifest } from '../oci/manifest.ts'
import { lru } from '../util/lru.ts'

const MAX_BLOBS = 10_000

/**
 * Sizes of blobs as the manifests state them that clients were given. Clients hold a blob to it too, so it is good enough to
 * begin a transfer with, where otherwise one peer's word would be all there is.
 */
export class StatedSizes {
  readonly #sizes = lru<Digest, number>(MAX_BLOBS)

  /** @param manifest its bytes, checked */
  note(manifest: Uint8Array): void {
    for (const [digest, size] of readManifest(manifest).sizes) this.#sizes.set(digest, size)
  }

  /** Bytes of the blob; undefined when no manifest was seen that lists it. */
  of(digest: Digest): number | undefined {
    return this.#sizes.get(digest)
  }
}
