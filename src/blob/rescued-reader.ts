import { hasCode } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Logger } from '../util/logger.ts'
import type { Abortable } from './ports.ts'
import type { BlobOrigin, OpenBlob } from './services.ts'

/**
 * A reader that goes on through `rescue` when the store gives way under it (the disk is full, or fails): the client
 * notices a pause at most.
 */
export class RescuedReader implements OpenBlob {
  readonly digest: Digest
  readonly size: number
  readonly #components: { log: Logger; rescue: (options: Abortable) => Promise<OpenBlob> }
  #reader: OpenBlob
  #isRescued = false

  constructor(components: { log: Logger; rescue: (options: Abortable) => Promise<OpenBlob> }, reader: OpenBlob) {
    this.#components = components
    this.#reader = reader
    this.digest = reader.digest
    this.size = reader.size
  }

  get origin(): BlobOrigin {
    return this.#reader.origin
  }

  async read(target: Uint8Array, position: number, options: Abortable): Promise<number> {
    try {
      return await this.#reader.read(target, position, options)
    } catch (error) {
      if (this.#isRescued || !hasCode(error, 'STORE_FULL', 'STORE_FAILED')) throw error
      this.#isRescued = true
      this.#components.log.warn({ digest: this.digest, position, err: error }, 'the store gave way, passing through')
      await this.#reader.close()
      this.#reader = await this.#components.rescue(options)
      return this.#reader.read(target, position, options)
    }
  }

  close(): Promise<void> {
    return this.#reader.close()
  }
}
