/**
 * What is done when the whole blob does not have its digest although every chunk is what somebody stated: some statement
 * was false, or the origin was. Pure: each mismatch asks for the next remedy, each remedy is tried once.
 *
 * First the origin is asked about the chunks that rest on peers' word, the most doubtful first. Where it cannot tell,
 * one signer after the other is believed with all it states, the best supported first.
 */
import type { Evidence } from './chunk-evidence.ts'
import type { ChunkHash } from './ports.ts'

/** Each remedy costs a reading of the whole blob. */
const MAX_BELIEFS = 8

export interface DisputedChunk {
  readonly index: number
  readonly hash: ChunkHash
  readonly evidence: Evidence
}

export interface DisputeView {
  /** All chunks, as they are here. */
  readonly chunks: readonly DisputedChunk[]
  /** What each signer states, by index. */
  readonly stated: ReadonlyMap<string, ReadonlyMap<number, ChunkHash>>
  readonly hasOrigin: boolean
}

export type Remedy =
  | { readonly type: 'ask-origin'; readonly indexes: readonly number[] }
  | { readonly type: 'believe'; readonly signer: string; readonly hashes: ReadonlyMap<number, ChunkHash> }

const DOUBTS: readonly (readonly Evidence[])[] = [['none', 'contested'], ['lone'], ['agreed']]

export class DigestDispute {
  #doubts = 0
  readonly #believed = new Set<string>()

  /** Undefined: nothing is left to try. */
  next(view: DisputeView): Remedy | undefined {
    while (view.hasOrigin && this.#doubts < DOUBTS.length) {
      const doubtful = DOUBTS[this.#doubts] ?? []
      this.#doubts += 1
      const indexes = view.chunks.filter(({ evidence }) => doubtful.includes(evidence)).map(({ index }) => index)
      if (indexes.length > 0) return { type: 'ask-origin', indexes }
    }
    return this.#belief(view)
  }

  #belief({ chunks, stated }: DisputeView): Remedy | undefined {
    if (this.#believed.size >= MAX_BELIEFS) return undefined
    let best: { signer: string; hashes: Map<number, ChunkHash>; support: number } | undefined
    for (const [signer, said] of stated) {
      if (this.#believed.has(signer)) continue
      const hashes = new Map(
        chunks.flatMap(({ index, hash }) => {
          const other = said.get(index)
          return other === undefined || other === hash ? [] : [[index, other] as const]
        }),
      )
      if (hashes.size === 0) continue
      const support = [...stated.values()].filter((others) => agrees(others, hashes)).length
      if (best === undefined || support > best.support) best = { signer, hashes, support }
    }
    if (best === undefined) return undefined
    this.#believed.add(best.signer)
    return { type: 'believe', signer: best.signer, hashes: best.hashes }
  }
}

/** Whether somebody states nothing else about any of these chunks, and the same about one at least. */
function agrees(said: ReadonlyMap<number, ChunkHash>, hashes: ReadonlyMap<number, ChunkHash>): boolean {
  let agreesOnOne = false
  for (const [index, hash] of hashes) {
    const other = said.get(index)
    if (other !== undefined && other !== hash) return false
    agreesOnOne ||= other === hash
  }
  return agreesOnOne
}
