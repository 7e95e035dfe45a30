/** What may wait here before the connection is held back. */
const MAX_WAITING_BYTES = 256 * 1024

/**
 * Bytes of one body between the connection they came on and whoever reads them. Neighbours in memory are handed on as
 * one piece. What came before the end is given out before the end is told.
 */
export class LaneBodyQueue {
  readonly #pieces: Buffer[] = []
  #bytes = 0
  #end: { readonly error?: unknown } | undefined
  #arrival = Promise.withResolvers<void>()

  get isFull(): boolean {
    return this.#bytes >= MAX_WAITING_BYTES
  }

  /** Everything came that was to come. */
  get isComplete(): boolean {
    return this.#end !== undefined && !('error' in this.#end)
  }

  push(piece: Buffer): void {
    const last = this.#pieces.at(-1)
    if (last !== undefined && last.buffer === piece.buffer && last.byteOffset + last.length === piece.byteOffset) {
      this.#pieces[this.#pieces.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + piece.length)
    } else {
      this.#pieces.push(piece)
    }
    this.#bytes += piece.length
    this.#arrival.resolve()
  }

  /** Only the first end counts. */
  finish(end: { readonly error?: unknown }): void {
    this.#end ??= end
    this.#arrival.resolve()
  }

  /** @returns undefined at the end @throws what ended it */
  async take(): Promise<Buffer | undefined> {
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece !== undefined) {
        this.#bytes -= piece.length
        return piece
      }
      if (this.#end !== undefined) {
        if ('error' in this.#end) throw this.#end.error
        return undefined
      }
      await this.#arrival.promise
      this.#arrival = Promise.withResolvers()
    }
  }

  clear(): void {
    this.#pieces.length = 0
    this.#bytes = 0
  }
}
