import { createHash } from 'node:crypto'
import { type ChunkPlan, chunkEnd, chunkStart } from '../../src/blob/chunk-plan.ts'
import type { ChunkHash, PartialBlob } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'

export interface MemoryPartialInit {
  readonly digest: Digest
  readonly plan: ChunkPlan
  readonly bytes: Buffer
  readonly claimed: ReadonlyMap<number, ChunkHash>
  readonly unsure: ReadonlySet<number>
  /** Called once, with what there is to keep. */
  readonly onEnd: (
    outcome: 'committed' | 'discarded' | 'closed',
    logged: Pick<PartialBlob, 'claimed' | 'unsure'>,
  ) => void
}

/** A partial blob in memory, for tests. */
export class MemoryPartialBlob implements PartialBlob {
  readonly digest: Digest
  readonly plan: ChunkPlan
  readonly claimed: ReadonlyMap<number, ChunkHash>
  readonly unsure: ReadonlySet<number>
  /** Set it to make the next calls of `write` and `logChunk` fail. */
  failure: ShoalError | undefined
  readonly #bytes: Buffer
  readonly #logged: Map<number, ChunkHash>
  readonly #loggedUnsure: Set<number>
  readonly #onEnd: MemoryPartialInit['onEnd']
  #state: 'open' | 'committed' | 'discarded' | 'closed' = 'open'
  #running = createHash('sha256')
  #appended = 0

  constructor(init: MemoryPartialInit) {
    this.digest = init.digest
    this.plan = init.plan
    this.claimed = init.claimed
    this.#bytes = init.bytes
    this.unsure = init.unsure
    this.#logged = new Map(init.claimed)
    this.#loggedUnsure = new Set(init.unsure)
    this.#onEnd = init.onEnd
  }

  async write(position: number, buffers: readonly Uint8Array[]): Promise<void> {
    this.#mustBeOpen()
    if (this.failure !== undefined) throw this.failure
    let at = position
    for (const buffer of buffers) {
      if (at < 0 || at + buffer.length > this.plan.size) throw new ShoalError('INTERNAL', 'a write beyond the end')
      this.#bytes.set(buffer, at)
      at += buffer.length
    }
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (this.#state === 'closed' || this.#state === 'discarded') throw this.#notOpen()
    const bytes = this.#bytes.subarray(position, position + target.length)
    target.set(bytes)
    return bytes.length
  }

  async hashChunk(index: number): Promise<ChunkHash> {
    this.#mustBeOpen()
    return createHash('sha256').update(this.#chunk(index)).digest('hex')
  }

  async appendToDigest(index: number, known?: ChunkHash): Promise<ChunkHash> {
    this.#mustBeOpen()
    if (index !== this.#appended) throw new ShoalError('INTERNAL', 'chunks must be appended in order')
    this.#appended += 1
    this.#running.update(this.#chunk(index))
    return known ?? (await this.hashChunk(index))
  }

  async finishDigest(): Promise<Digest> {
    this.#mustBeOpen()
    return digestOf('sha256', this.#running.copy().digest('hex'))
  }

  restartDigest(): void {
    this.#appended = 0
    this.#running = createHash('sha256')
  }

  async logChunk(index: number, hash: ChunkHash, { isSure }: { readonly isSure: boolean }): Promise<void> {
    this.#mustBeOpen()
    this.#chunk(index)
    if (this.failure !== undefined) throw this.failure
    this.#logged.set(index, hash)
    if (isSure) this.#loggedUnsure.delete(index)
    else this.#loggedUnsure.add(index)
  }

  async commit(): Promise<void> {
    this.#mustBeOpen()
    this.#end('committed')
  }

  async discard(): Promise<void> {
    this.#mustBeOpen()
    this.#end('discarded')
  }

  async close(): Promise<void> {
    if (this.#state === 'open') this.#end('closed')
    if (this.#state === 'committed') this.#state = 'closed'
  }

  #end(outcome: 'committed' | 'discarded' | 'closed'): void {
    this.#state = outcome
    this.#onEnd(outcome, { claimed: this.#logged, unsure: this.#loggedUnsure })
  }

  #chunk(index: number): Buffer {
    if (!Number.isInteger(index) || index < 0 || index >= this.plan.count) {
      throw new ShoalError('INTERNAL', 'no such chunk')
    }
    return this.#bytes.subarray(chunkStart(this.plan, index), chunkEnd(this.plan, index))
  }

  #mustBeOpen(): void {
    if (this.#state !== 'open') throw this.#notOpen()
  }

  #notOpen(): ShoalError {
    return new ShoalError('STORE_FAILED', 'the partial blob takes no more')
  }
}
