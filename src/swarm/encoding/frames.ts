/** Frames on a byte stream: four bytes with the length, most significant first, then as many bytes. */
import type { Uint8ArrayList } from 'uint8arraylist'
import { ShoalError } from '../../errors.ts'

const HEADER_BYTES = 4
const KEPT_BYTES = 16 * 1024

export function frame(payload: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  framed.writeUInt32BE(payload.length)
  framed.set(payload, HEADER_BYTES)
  return framed
}

/** Cuts frames out of what arrives. What waits for its rest is copied together, so that a drip of single bytes costs no more than it is. */
export class FrameReader {
  readonly #maxBytes: number
  #buffer = Buffer.alloc(0)
  #used = 0

  /** @param init.maxBytes of a frame's payload */
  constructor(init: { readonly maxBytes: number }) {
    this.#maxBytes = init.maxBytes
  }

  /** Bytes of a frame that has not arrived whole. */
  get pendingBytes(): number {
    return this.#used
  }

  /** @returns whole frames; @throws ShoalError PEER_MISBEHAVED for a length that is not allowed, before the rest of it is awaited */
  push(bytes: Uint8Array | Uint8ArrayList): Uint8Array[] {
    const arrived = bytes.subarray()
    const all =
      this.#used === 0 ? Buffer.from(arrived.buffer, arrived.byteOffset, arrived.length) : this.#append(arrived)
    const frames: Uint8Array[] = []
    let at = 0
    while (all.length - at >= HEADER_BYTES) {
      const length = all.readUInt32BE(at)
      if (length > this.#maxBytes) throw new ShoalError('PEER_MISBEHAVED', 'a message that is too long')
      const end = at + HEADER_BYTES + length
      if (end > all.length) break
      frames.push(new Uint8Array(all.subarray(at + HEADER_BYTES, end)))
      at = end
    }
    this.#keep(all.subarray(at))
    return frames
  }

  #append(bytes: Uint8Array): Buffer {
    const length = this.#used + bytes.length
    if (length > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#buffer.length))
      this.#buffer.copy(grown, 0, 0, this.#used)
      this.#buffer = grown
    }
    this.#buffer.set(bytes, this.#used)
    return this.#buffer.subarray(0, length)
  }

  #keep(rest: Buffer): void {
    const isInPlace =
      this.#used > 0 && rest.buffer === this.#buffer.buffer && rest.byteOffset === this.#buffer.byteOffset
    if (!isInPlace) {
      if (rest.length > this.#buffer.length || (rest.length === 0 && this.#buffer.length > KEPT_BYTES)) {
        this.#buffer = Buffer.allocUnsafeSlow(rest.length)
      }
      this.#buffer.set(rest)
    }
    this.#used = rest.length
  }
}
