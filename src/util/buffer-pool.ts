/**
 * Buffers for bodies on their way out, shared by all responses. Never waits: a client that does not read must not
 * hold up the others. When too much is out already, buffers are small and not kept.
 */
export class BufferPool {
  readonly #free: Buffer[] = []
  readonly #bufferBytes: number
  readonly #smallBytes: number
  readonly #budgetBytes: number
  readonly #keptBuffers: number
  #outBytes = 0

  /** @param init.keptBuffers how many stay allocated while nobody needs them */
  constructor(init: { bufferBytes: number; smallBytes: number; budgetBytes: number; keptBuffers: number }) {
    this.#bufferBytes = init.bufferBytes
    this.#smallBytes = init.smallBytes
    this.#budgetBytes = init.budgetBytes
    this.#keptBuffers = init.keptBuffers
  }

  /** @param usefulBytes more than this the caller can not use */
  take(usefulBytes: number): Buffer {
    const buffer = this.#choose(usefulBytes)
    this.#outBytes += buffer.length
    return buffer
  }

  /** @param reusable false when somebody may still write into it or send from it */
  giveBack(buffer: Buffer, reusable: boolean): void {
    this.#outBytes -= buffer.length
    if (reusable && buffer.length === this.#bufferBytes && this.#free.length < this.#keptBuffers)
      this.#free.push(buffer)
  }

  /** Lets go of what nobody needs now. */
  release(): void {
    this.#free.length = 0
  }

  #choose(usefulBytes: number): Buffer {
    if (usefulBytes <= this.#smallBytes) return Buffer.allocUnsafeSlow(Math.max(1, usefulBytes))
    if (this.#outBytes + this.#bufferBytes > this.#budgetBytes) return Buffer.allocUnsafeSlow(this.#smallBytes)
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bufferBytes)
  }
}
