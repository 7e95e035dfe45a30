import { planChunks } from '../../blob/chunk-plan.ts'
import type { AskOptions, Conduct, PeerSource, SourceBody } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import { linkSignals } from '../../util/signals.ts'
import { ChunkBitmap } from '../encoding/chunk-bitmap.ts'
import type { BlobKey } from '../protocol/wire-messages.ts'
import type { Lane } from '../swarm-ports.ts'

export interface RemoteBlobComponents {
  readonly lane: Pick<Lane, 'fetch'>
  readonly report: (conduct: Conduct) => void
}

export interface RemoteBlobInit {
  readonly peer: string
  readonly key: BlobKey
  /** Bytes, as the peer says. */
  readonly size: number
}

/** What one peer has of a blob, kept up with what it tells, as a source of its chunks. */
export class RemoteBlob implements PeerSource {
  readonly kind = 'peer'
  readonly id: string
  readonly size: number
  readonly chunks: ChunkBitmap
  readonly #components: RemoteBlobComponents
  readonly #key: BlobKey
  readonly #ended = new AbortController()

  constructor(components: RemoteBlobComponents, init: RemoteBlobInit) {
    this.#components = components
    this.#key = init.key
    this.id = init.peer
    this.size = init.size
    this.chunks = new ChunkBitmap(planChunks(init.size).count)
  }

  has(index: number): boolean {
    return this.chunks.has(index)
  }

  get bits(): Uint8Array {
    return this.chunks.bits
  }

  report(conduct: Conduct): void {
    this.#components.report(conduct)
  }

  async open(
    range: { start: number; end: number | undefined },
    { signal, ...options }: AskOptions,
  ): Promise<SourceBody> {
    const linked = linkSignals([signal, this.#ended.signal])
    const end = range.end ?? this.size
    const isWhole = range.start === 0 && end >= this.size
    const request = { ...this.#key, range: isWhole ? undefined : { start: range.start, end } }
    try {
      const { lane } = this.#components
      const { totalSize, bytes } = await lane.fetch(this.id, request, { ...options, signal: linked.signal })
      if (totalSize !== this.size) {
        await bytes[Symbol.asyncIterator]().return?.()
        throw new ShoalError('PEER_MISBEHAVED', 'the blob has another size than the peer said', {
          detail: { peer: this.id },
        })
      }
      return { totalSize, bytes: disposedAfter(bytes, linked) }
    } catch (error) {
      linked[Symbol.dispose]()
      throw error
    }
  }

  /** The peer is gone or has it no longer: requests that run end with an error. */
  end(): void {
    this.#ended.abort(new ShoalError('PEER_UNAVAILABLE', 'the peer has left', { detail: { peer: this.id } }))
  }
}

async function* disposedAfter(bytes: AsyncIterable<Uint8Array>, resource: Disposable): AsyncGenerator<Uint8Array> {
  using _resource = resource
  yield* bytes
}
