/**
 * Chunks of one blob as bits in words of 32, so that a pass over thousands of them costs little. Owned by whoever made it. The words are in a
 * plain array: a typed one takes 160 bytes more, and from 64 bytes on ten times as long to make.
 */
export class ChunkSet {
  readonly count: number
  readonly #words: number[]

  /** @param count chunks of the blob; what is outside is never in the set */
  constructor(count: number) {
    this.count = count
    this.#words = zeros(Math.ceil(count / 32))
  }

  static of(count: number, has: (index: number) => boolean): ChunkSet {
    const set = new ChunkSet(count)
    for (let index = 0; index < count; index++) if (has(index)) set.add(index)
    return set
  }

  copy(): ChunkSet {
    const set = new ChunkSet(this.count)
    set.addAll(this)
    return set
  }

  get size(): number {
    let size = 0
    for (let word of this.#words) for (; word !== 0; word &= word - 1) size += 1
    return size
  }

  get isEmpty(): boolean {
    return this.next(0) < 0
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0
  }

  add(index: number): void {
    if (index >= 0 && index < this.count)
      this.#words[index >>> 5] = (this.#words[index >>> 5] ?? 0) | (1 << (index & 31))
  }

  delete(index: number): void {
    if (index >= 0 && index < this.count)
      this.#words[index >>> 5] = (this.#words[index >>> 5] ?? 0) & ~(1 << (index & 31))
  }

  addRange(from: number, to: number): void {
    for (let index = from; index < to; index++) this.add(index)
  }

  deleteRange(from: number, to: number): void {
    for (let index = from; index < to; index++) this.delete(index)
  }

  /** Takes in what is in the other one, which is of the same blob. */
  addAll(other: ChunkSet): void {
    for (let at = 0; at < this.#words.length; at++) this.#words[at] = (this.#words[at] ?? 0) | (other.#words[at] ?? 0)
  }

  /** @param bytes chunk 0 is the lowest bit of the first one; bits beyond the last chunk count for nothing */
  addBytes(bytes: Uint8Array): void {
    for (let at = 0; at < this.#words.length; at++) {
      const from = 4 * at
      const low = (bytes[from] ?? 0) | ((bytes[from + 1] ?? 0) << 8)
      const high = (bytes[from + 2] ?? 0) | ((bytes[from + 3] ?? 0) << 8)
      const rest = this.count - 32 * at
      const inside = rest < 32 ? (1 << rest) - 1 : -1
      this.#words[at] = (this.#words[at] ?? 0) | ((low | (high << 16)) & inside)
    }
  }

  /** Leaves what is in the other one too, which is of the same blob. */
  keepAll(other: ChunkSet): void {
    for (let at = 0; at < this.#words.length; at++) this.#words[at] = (this.#words[at] ?? 0) & (other.#words[at] ?? 0)
  }

  /** Whether all of them are in the other one too. */
  isWithin(other: ChunkSet): boolean {
    for (let at = 0; at < this.#words.length; at++)
      if (((this.#words[at] ?? 0) & ~(other.#words[at] ?? 0)) !== 0) return false
    return true
  }

  /** Takes out what is in the other one, which is of the same blob. */
  deleteAll(other: ChunkSet): void {
    for (let at = 0; at < this.#words.length; at++) this.#words[at] = (this.#words[at] ?? 0) & ~(other.#words[at] ?? 0)
  }

  /** The first one from `from` on; -1 when there is none. */
  next(from: number): number {
    let at = from >>> 5
    let word = (this.#words[at] ?? 0) & (-1 << (from & 31))
    while (word === 0) {
      at += 1
      if (at >= this.#words.length) return -1
      word = this.#words[at] ?? 0
    }
    return (at << 5) + (31 - Math.clz32(word & -word))
  }

  /** The first one that matches, from `from` to the last chunk and then from the first one on; -1 when there is none. */
  findFrom(from: number, matches: (index: number) => boolean): number {
    for (let index = this.next(from); index >= 0; index = this.next(index + 1)) if (matches(index)) return index
    for (let index = this.next(0); index >= 0 && index < from; index = this.next(index + 1)) {
      if (matches(index)) return index
    }
    return -1
  }

  some(matches: (index: number) => boolean): boolean {
    return this.findFrom(0, matches) >= 0
  }
}

function zeros(count: number): number[] {
  const words: number[] = []
  for (let at = 0; at < count; at++) words.push(0)
  return words
}
