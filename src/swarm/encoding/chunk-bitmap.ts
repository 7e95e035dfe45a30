/** Chunks of a blob as bits, chunk 0 the lowest bit of the first byte. It only grows. */
export class ChunkBitmap {
  readonly count: number
  readonly #bytes: Uint8Array
  #set = 0

  constructor(count: number) {
    this.count = count
    this.#bytes = new Uint8Array(bitmapBytes(count))
  }

  /** How many chunks are set. */
  get size(): number {
    return this.#set
  }

  get isFull(): boolean {
    return this.#set === this.count
  }

  has(index: number): boolean {
    return ((this.#bytes[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0
  }

  /** @returns whether it was not set before; an index outside is never set */
  add(index: number): boolean {
    if (!(index >= 0 && index < this.count) || this.has(index)) return false
    this.#bytes[index >>> 3] = (this.#bytes[index >>> 3] ?? 0) | (1 << (index & 7))
    this.#set += 1
    return true
  }

  /** @param bytes of the same length as `toBytes` gives; bits beyond the last chunk count for nothing. @returns whether any was new */
  addAll(bytes: Uint8Array): boolean {
    let grew = false
    for (let index = 0; index < this.count; index++) {
      if (((bytes[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0 && this.add(index)) grew = true
    }
    return grew
  }

  fill(): boolean {
    const grew = !this.isFull
    this.#bytes.fill(0xff)
    if (this.count % 8 !== 0) this.#bytes[this.#bytes.length - 1] = (1 << (this.count % 8)) - 1
    this.#set = this.count
    return grew
  }

  /** As `toBytes`, but not to keep, and not to change. */
  get bits(): Uint8Array {
    return this.#bytes
  }

  toBytes(): Uint8Array {
    return this.#bytes.slice()
  }
}

export function bitmapBytes(count: number): number {
  return Math.ceil(count / 8)
}
