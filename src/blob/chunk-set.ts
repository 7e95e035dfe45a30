/** Chunks of one blob as bits in words of 32, so that a pass over thousands of them costs little. Owned by whoever made it. */
export class ChunkSet {
  readonly count: number
  readonly #words: Uint32Array

  /** @param count chunks of the blob; what is outside is never in the set */
  constructor(count: number) {
    this.count = count
    this.#words = new Uint32Array(Math.ceil(count / 32))
  }

  static of(count: number, has: (index: number) => boolean): ChunkSet {
    const set = new ChunkSet(count)
    for (let index = 0; index < count; index++) if (has(index)) set.add(index)
    return set
  }

  copy(): ChunkSet {
    const set = new ChunkSet(this.count)
    set.#words.set(this.#words)
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
