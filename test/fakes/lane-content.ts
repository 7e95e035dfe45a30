import type { BlobReader, SharedBlob, SharedContent } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { FakeBlobReader, type FakeBlobReaderInit } from './fake-blob-reader.ts'

/** What an agent gives to peers, in memory. Keeps what was opened. */
export class LaneContent implements Pick<SharedContent, 'find' | 'open'> {
  readonly readers: FakeBlobReader[] = []
  readonly #blobs = new Map<string, { blob: SharedBlob; bytes: Buffer; init: FakeBlobReaderInit }>()

  /** @param chunks those that are here; undefined: all */
  add(bytes: Buffer, registry: string, init: FakeBlobReaderInit = {}, chunks?: readonly number[]): Digest {
    const { digest, size } = new FakeBlobReader(bytes)
    const blob: SharedBlob = {
      digest,
      size,
      isComplete: chunks === undefined,
      has: (index) => chunks?.includes(index) ?? true,
      statements: [],
      claims: new Map(),
    }
    this.#blobs.set(`${registry} ${digest}`, { blob, bytes, init })
    return digest
  }

  find(digest: Digest, registry: string): SharedBlob | undefined {
    return this.#blobs.get(`${registry} ${digest}`)?.blob
  }

  async open(digest: Digest, registry: string): Promise<BlobReader> {
    const found = this.#blobs.get(`${registry} ${digest}`)
    if (found === undefined) throw new ShoalError('BLOB_UNKNOWN', 'not here')
    const reader = new FakeBlobReader(found.bytes, found.init)
    this.readers.push(reader)
    return reader
  }
}
