/**
 * CBOR from peers, https://www.rfc-editor.org/rfc/rfc8949: only definite lengths, unsigned integers, byte and text strings, arrays, maps
 * with text keys, true and false; nothing nested deeply or of very many items.
 */
import { decode, encode, type Token, Tokenizer, Type } from 'cborg'
import { ShoalError } from '../../errors.ts'

const MAX_DEPTH = 8
const ALLOWED: ReadonlySet<Type> = new Set([
  Type.uint,
  Type.bytes,
  Type.string,
  Type.array,
  Type.map,
  Type.true,
  Type.false,
])

const OPTIONS = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowBigInt: false,
  allowNaN: false,
  allowInfinity: false,
  rejectDuplicateMapKeys: true,
} as const

/** Counts items and depth before anything is built of them. */
class BoundedTokenizer extends Tokenizer {
  #itemsLeft: number
  /** How many items each open array or map still waits for. */
  readonly #open: number[] = []

  constructor(bytes: Uint8Array, maxItems: number) {
    super(bytes, OPTIONS)
    this.#itemsLeft = maxItems
  }

  override next(): Token {
    const token = super.next()
    if (!ALLOWED.has(token.type)) throw new TypeError('a type that is not allowed')
    this.#itemsLeft -= 1
    if (this.#itemsLeft < 0) throw new RangeError('too many items')
    this.#countDown()
    if (token.type === Type.array || token.type === Type.map) {
      const items: unknown = token.value
      if (typeof items !== 'number' || items > this.#itemsLeft) throw new RangeError('too many items')
      this.#open.push(token.type === Type.map ? 2 * items : items)
      if (this.#open.length > MAX_DEPTH) throw new RangeError('nested too deeply')
    }
    return token
  }

  #countDown(): void {
    while (this.#open.at(-1) === 0) this.#open.pop()
    const last = this.#open.length - 1
    const left = this.#open[last]
    if (left !== undefined) this.#open[last] = left - 1
  }
}

/** @throws ShoalError PEER_MISBEHAVED */
export function decodeStrict(bytes: Uint8Array, { maxItems }: { readonly maxItems: number }): unknown {
  try {
    // cborg slices what it is given: a Buffer's slice would share memory with the whole message
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return decode(plain, { ...OPTIONS, tokenizer: new BoundedTokenizer(plain, maxItems) })
  } catch (cause) {
    throw new ShoalError('PEER_MISBEHAVED', 'not the CBOR that peers speak', { cause })
  }
}

/** Deterministic: shortest forms, keys of maps sorted. */
export function encodeCanonical(value: unknown): Uint8Array {
  return encode(value)
}

/** Like `decodeStrict`, of bytes that are the only ones that say this. @throws ShoalError PEER_MISBEHAVED */
export function decodeCanonical(bytes: Uint8Array, options: { readonly maxItems: number }): unknown {
  const value = decodeStrict(bytes, options)
  if (Buffer.compare(encodeCanonical(value), bytes) !== 0) {
    throw new ShoalError('PEER_MISBEHAVED', 'not in canonical form')
  }
  return value
}
