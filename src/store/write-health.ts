import { hasCode } from '../errors.ts'

/** Whether the disk took what was last written to it. A blob that is refused for the quota says nothing about the disk. */
export class WriteHealth {
  #isWritable = true
  #failures = 0

  get isWritable(): boolean {
    return this.#isWritable
  }

  /** How often the disk did not take what was to be written, since the start. */
  get failures(): number {
    return this.#failures
  }

  /** For work that puts the bytes of a blob on the disk. */
  async watch<T>(work: () => Promise<T>): Promise<T> {
    const result = await this.watchFailure(work)
    this.#isWritable = true
    return result
  }

  /** For work that may succeed on a full disk. */
  async watchFailure<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (hasCode(error, 'STORE_FULL') && ('errno' in (error.detail ?? {}) || 'freeBytes' in (error.detail ?? {}))) {
        this.#isWritable = false
        this.#failures += 1
      } else if (hasCode(error, 'STORE_FAILED')) this.#failures += 1
      throw error
    }
  }
}
