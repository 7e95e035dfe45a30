/**
 * A blob straight from its source to one client, for when it cannot be stored: the disk is full or read-only, the
 * digest's algorithm is not the store's. Reads forward from the first byte whatever is asked, because only the whole
 * blob can be verified; its last stretch is held back in memory until the digest matched.
 */
import { createHash, type Hash } from 'node:crypto'
import { ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestOf } from '../oci/digest.ts'
import { type ChunkPlan, chunkStart, planChunks } from './chunk-plan.ts'
import type { Abortable, ChunkSource } from './ports.ts'
import type { OpenBlob } from './services.ts'

interface Stream {
  readonly pieces: AsyncIterator<Uint8Array>
  readonly hash: Hash
  readonly stop: AbortController
  /** Where `window` begins in the blob. */
  position: number
  /** Arrived and not yet read. */
  window: Buffer
  isVerified: boolean
}

export interface PassThroughComponents {
  readonly source: ChunkSource
  /** So many bytes came from the source. */
  readonly onBytes: (bytes: number) => void
  /** The source has sent the whole blob, and it has its digest. */
  readonly onVerified: () => void
}

export class PassThroughReader implements OpenBlob {
  readonly digest: Digest
  readonly size: number
  readonly cacheStatus = 'pass-through' as const
  readonly #components: PassThroughComponents
  readonly #plan: ChunkPlan
  #stream: Stream

  private constructor(components: PassThroughComponents, init: { digest: Digest; size: number; stream: Stream }) {
    const { digest, size, stream } = init
    this.digest = digest
    this.size = size
    this.#components = components
    this.#plan = planChunks(size)
    this.#stream = stream
  }

  /** @throws ShoalError of the source; ORIGIN_MISBEHAVED when it does not tell the size */
  static async open(
    components: PassThroughComponents,
    { digest }: { digest: Digest },
    { signal }: Abortable,
  ): Promise<PassThroughReader> {
    const begun = await begin(digest, components.source, signal)
    return new PassThroughReader(components, { digest, ...begun })
  }

  async read(target: Uint8Array, position: number, { signal }: Abortable): Promise<number> {
    const onAbort = (): void => this.#stream.stop.abort(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (position < this.#stream.position) await this.#rewind(signal)
      const stream = this.#stream
      for (;;) {
        this.#drop(stream, position)
        const limit = stream.isVerified ? this.size : chunkStart(this.#plan, this.#plan.count - 1)
        const readable = Math.min(stream.window.length, limit - position, target.length)
        if (readable > 0) {
          target.set(stream.window.subarray(0, readable))
          return readable
        }
        if (stream.isVerified) return 0
        await this.#advance(stream)
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async close(): Promise<void> {
    this.#stream.stop.abort(new DOMException('closed', 'AbortError'))
    await this.#stream.pieces.return?.().catch(() => undefined)
  }

  async #rewind(signal: AbortSignal): Promise<void> {
    await this.close()
    this.#stream = (await begin(this.digest, this.#components.source, signal)).stream
  }

  #drop(stream: Stream, until: number): void {
    const skipped = Math.min(stream.window.length, until - stream.position)
    stream.window = stream.window.subarray(skipped)
    stream.position += skipped
  }

  async #advance(stream: Stream): Promise<void> {
    const { done, value } = await stream.pieces.next()
    if (done !== true) {
      this.#components.onBytes(value.length)
      stream.hash.update(value)
      stream.window = stream.window.length === 0 ? Buffer.from(value) : Buffer.concat([stream.window, value])
      return
    }
    const found = digestOf(digestAlgorithm(this.digest), stream.hash.digest('hex'))
    if (found !== this.digest) {
      throw new ShoalError('DIGEST_MISMATCH', 'the bytes do not have the digest', { detail: { found } })
    }
    stream.isVerified = true
    this.#components.onVerified()
  }
}

async function begin(
  digest: Digest,
  source: ChunkSource,
  signal: AbortSignal,
): Promise<{ stream: Stream; size: number }> {
  const stop = new AbortController()
  const onAbort = (): void => stop.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const body = await source.open({ start: 0, end: undefined }, { signal: stop.signal })
    if (body.totalSize === undefined) {
      stop.abort(new DOMException('no size', 'AbortError'))
      throw new ShoalError('ORIGIN_MISBEHAVED', 'the origin does not tell the size of the blob')
    }
    const hash = createHash(digestAlgorithm(digest))
    const pieces = body.bytes[Symbol.asyncIterator]()
    return {
      size: body.totalSize,
      stream: { pieces, hash, stop, position: 0, window: Buffer.alloc(0), isVerified: false },
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
