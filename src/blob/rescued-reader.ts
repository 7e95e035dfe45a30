import { hasCode } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Logger } from '../util/logger.ts'
import type { Abortable } from './ports.ts'
import type { CacheStatus, OpenBlob } from './services.ts'

/**
 * A reader that goes over to `rescue` when the store gives way, or the bytes turn out wrong, before anything was read.
 * Later it must not: what was read cannot be checked against what another source would send. The client resumes then.
 */
export class RescuedReader implements OpenBlob {
  readonly digest: Digest
  readonly size: number
  readonly #components: { log: Logger; rescue: (options: Abortable) => Promise<OpenBlob> }
  #reader: OpenBlob
  #canBeRescued = true

  constructor(components: { log: Logger; rescue: (options: Abortable) => Promise<OpenBlob> }, reader: OpenBlob) {
    this.#components = components
    this.#reader = reader
    this.digest = reader.digest
    this.size = reader.size
  }

  get cacheStatus(): CacheStatus {
    return this.#reader.cacheStatus
  }

  async read(target: Uint8Array, position: number, options: Abortable): Promise<number> {
    try {
      const count = await this.#reader.read(target, position, options)
      this.#canBeRescued = false
      return count
    } catch (error) {
      if (!this.#canBeRescued || !hasCode(error, 'STORE_FULL', 'STORE_FAILED', 'DIGEST_MISMATCH')) throw error
      this.#canBeRescued = false
      this.#components.log.warn(
        { digest: this.digest, position, err: error },
        'the blob cannot be had from here, passing it through',
      )
      await this.#reader.close()
      this.#reader = await this.#components.rescue(options)
      return this.#reader.read(target, position, options)
    }
  }

  close(): Promise<void> {
    return this.#reader.close()
  }
}
