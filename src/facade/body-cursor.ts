import type { Abortable, BlobReader } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import type { BodySection } from './multipart-ranges.ts'

/** Walks through a body's sections and fills buffers with it. Knows nothing of where the bytes go. */
export class BodyCursor {
  readonly #reader: BlobReader
  readonly #sections: readonly BodySection[]
  #section = 0
  /** Bytes of the current section that were given out, its preamble included. */
  #done = 0

  constructor(components: { reader: BlobReader }, init: { sections: readonly BodySection[] }) {
    this.#reader = components.reader
    this.#sections = init.sections
  }

  /**
   * Puts the next bytes into `target`: until it is full, or the reader had fewer than asked for.
   * @returns how many; 0 only at the end of the body
   * @throws ShoalError when the bytes will not come
   */
  async fill(target: Buffer, options: Abortable): Promise<number> {
    let filled = 0
    for (let section = this.#current(); section !== undefined && filled < target.length; section = this.#current()) {
      const before = section.preamble?.length ?? 0
      if (this.#done < before) {
        const copied = section.preamble?.copy(target, filled, this.#done) ?? 0
        filled += copied
        this.#done += copied
        continue
      }
      const position = section.range.start + this.#done - before
      const wanted = Math.min(target.length - filled, section.range.end - position)
      const got = await this.#reader.read(target.subarray(filled, filled + wanted), position, options)
      if (got <= 0 || got > wanted) throw new ShoalError('INTERNAL', 'the blob ended before its size')
      filled += got
      this.#done += got
      if (got < wanted) break
    }
    return filled
  }

  #current(): BodySection | undefined {
    for (;;) {
      const section = this.#sections[this.#section]
      if (section === undefined) return undefined
      if (this.#done < (section.preamble?.length ?? 0) + section.range.end - section.range.start) return section
      this.#section += 1
      this.#done = 0
    }
  }
}
