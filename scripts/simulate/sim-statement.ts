import type { ChunkHash, ChunkStatement } from '../../src/blob/ports.ts'
import type { SimLayer } from './sim-layer.ts'

/** A signed statement, and what it costs to send. */
export interface SimStatement {
  /** Counted from 0 for each layer. */
  readonly id: number
  readonly statement: ChunkStatement
  readonly bytes: number
}

const NO_BYTES = new Uint8Array(0)

/** Everybody is honest: the hash of a chunk is its number. */
export function hashOf(index: number): ChunkHash {
  return HASHES[index] ?? `${index}`
}

const HASHES = Array.from({ length: 65_536 }, (_, index) => `${index}`)

export function claimOf(layer: SimLayer, signer: string, indexes: readonly number[]): SimStatement {
  return make(layer, 'claim', signer, indexes)
}

export function mapOf(layer: SimLayer, signer: string): SimStatement {
  return make(
    layer,
    'map',
    signer,
    Array.from({ length: layer.plan.count }, (_, index) => index),
  )
}

function make(layer: SimLayer, kind: ChunkStatement['kind'], signer: string, indexes: readonly number[]): SimStatement {
  const hashes = new Map(indexes.map((index) => [index, hashOf(index)]))
  const { digest, plan, sizes } = layer
  const statement = { kind, digest, size: plan.size, signer, hashes, encoded: NO_BYTES }
  return { id: layer.nextStatement(), statement, bytes: sizes[kind](indexes.length) }
}

/** A set of small numbers, as bits: there are several for each pair of hosts, and a typed array takes 160 bytes more than a plain one. */
export class SmallSet {
  readonly #words: number[] = []

  has(value: number): boolean {
    return ((this.#words[value >>> 5] ?? 0) & (1 << (value & 31))) !== 0
  }

  add(value: number): void {
    const at = value >>> 5
    while (this.#words.length <= at) this.#words.push(0)
    this.#words[at] = (this.#words[at] ?? 0) | (1 << (value & 31))
  }
}
