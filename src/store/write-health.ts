/**
 * Whether the disk takes blobs. Owns what it last refused: a manifest that still fits says nothing about a layer that did not, so
 * only a blob as large, or room for one, ends it. A blob that is refused for the quota says nothing about the disk.
 */
import { hasCode, type ShoalError } from '../errors.ts'

/** With less than this a disk counts as full before it refused anything. */
const LITTLE_BYTES = 1024 * 1024
/** A disk with room for this counts as one that takes blobs, however large the one was that it refused. */
export const ENOUGH_BYTES = 16 * 1024 * 1024

interface Refusal {
  /** How large a blob must fit before the disk counts as writable again. */
  readonly bytes: number
  /** Whether room on the file system ends it: not where it is a user's quota that is used up. */
  readonly isForRoom: boolean
}

export class WriteHealth {
  #refusal: Refusal | undefined
  #failures = 0

  get isWritable(): boolean {
    return this.#refusal === undefined
  }

  /** How often the disk did not take what was to be written, since the start. */
  get failures(): number {
    return this.#failures
  }

  /** For work that puts a whole blob of so many bytes on the disk. */
  async watch<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const result = await this.watchFailure(bytes, work)
    if (this.#refusal !== undefined && bytes >= this.#refusal.bytes) this.#refusal = undefined
    return result
  }

  /** For work on a blob of so many bytes that may succeed on a full disk. */
  async watchFailure<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (hasCode(error, 'STORE_FULL') && isOfDisk(error)) {
        const { errno } = error.detail ?? {}
        this.#refusal = { bytes: Math.min(bytes, ENOUGH_BYTES), isForRoom: errno !== 'EDQUOT' }
        this.#failures += 1
      } else if (hasCode(error, 'STORE_FAILED')) this.#failures += 1
      throw error
    }
  }

  /** @param bytes that blobs could take now: what is free and what could be evicted; 0 on a disk that may not be written */
  hasRoom(bytes: number): void {
    const isLittle = bytes < LITTLE_BYTES
    if (this.#refusal === undefined && isLittle) this.#refusal = { bytes: LITTLE_BYTES, isForRoom: true }
    else if (this.#refusal?.isForRoom === true && bytes >= this.#refusal.bytes && !isLittle) this.#refusal = undefined
  }
}

function isOfDisk({ detail = {} }: ShoalError): boolean {
  return 'errno' in detail || 'freeBytes' in detail
}
