/**
 * Which chunks of one transfer readers may have, and which may be asked of peers: what is on disk, held against what is
 * stated. Owned by one `Transfer`.
 */
import { isReleased } from './chunk-evidence.ts'
import { ChunkSet } from './chunk-set.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ClaimBook } from './claim-book.ts'
import type { ChunkHash } from './ports.ts'

/** How far each signer is trusted that nothing has confirmed yet. */
export interface SignerShare {
  /** Whether one more chunk may be taken on its word. */
  leaves(signer: string): boolean
}

/** As `ChunkTrust.risks`. */
export interface Risks {
  readonly risky: number
  readonly bySigner: ReadonlyMap<string, number>
}

interface RiskCounts extends Risks {
  risky: number
  readonly bySigner: Map<string, number>
}

export interface ChunkTrustComponents {
  readonly chunks: ChunkStates
  readonly book: ClaimBook
  /** Of a chunk that is verified. */
  readonly hashOf: (index: number) => ChunkHash | undefined
}

export class ChunkTrust {
  /** A reader has waited so long that one agent's word is enough. */
  lonePasses = false
  /** Bytes from peers were wrong of late: they are asked only while the origin cannot be. */
  isCautious = false
  /** Chunks that an earlier transfer was sure of. */
  readonly sure = new Set<number>()
  /** Chunks that peers are not asked for, because what they say of it turned out wrong. */
  readonly notFromPeers = new Set<number>()
  /** The only version of a chunk that is taken from peers. */
  readonly expected = new Map<number, ChunkHash>()
  readonly #components: ChunkTrustComponents
  /** Chunks that are risky, and here: as it was when it was last looked at. */
  #here:
    | { readonly changes: number; readonly all: ChunkSet; readonly sure: number; readonly risky: ChunkSet }
    | undefined
  /** As it was when it was last counted, of all that were risky then. */
  #counted: { readonly all: ChunkSet; readonly risky: ChunkSet; readonly counts: RiskCounts } | undefined

  constructor(components: ChunkTrustComponents) {
    this.#components = components
  }

  /** Chunks that are here as an origin sent them to this agent. */
  get ownCount(): number {
    return this.#components.book.own.size
  }

  /** Whether a reader may have the chunk, unless it is the last one. */
  isReadable(index: number): boolean {
    const { chunks, book, hashOf } = this.#components
    const state = chunks.of(index)
    if (state !== 'verified') return state === 'received'
    const hash = hashOf(index)
    return this.sure.has(index) || (hash !== undefined && isReleased(book.evidence(index, hash), this.lonePasses))
  }

  /** Whether the chunk is here, and `lonePasses` would let readers have it. */
  isLone(index: number): boolean {
    const { chunks, book, hashOf } = this.#components
    const hash = chunks.of(index) === 'verified' ? hashOf(index) : undefined
    return hash !== undefined && book.evidence(index, hash) === 'lone'
  }

  /** As `Snapshot.stateOf`. */
  stateOf(index: number): 'missing' | 'held' | 'there' {
    const state = this.#components.chunks.of(index)
    if (state === 'absent') return 'missing'
    return state === 'verified' && !this.isReadable(index) && !this.isLone(index) ? 'held' : 'there'
  }

  /**
   * As `Snapshot.mayFetch`.
   * @param share chunks of one signer that are taken on its word alone, if it says no more than that it got them from the origin
   */
  mayFetch(index: number, share: SignerShare): 'free' | 'risky' | 'no' {
    const { book } = this.#components
    if (this.notFromPeers.has(index)) return 'no'
    if (this.expected.has(index)) return 'free'
    if (!book.isCheckable(index)) return 'no'
    if (!book.isRisky(index)) return 'free'
    const signer = book.unconfirmed(index)
    return signer === undefined || book.isMapper(signer) || !share.leaves(signer) ? 'risky' : 'free'
  }

  /** Whether readers may have the chunk as soon as a peer has brought it. */
  isReleasedFromPeers(index: number): boolean {
    return isReleased(this.#components.book.outlook(index), this.lonePasses)
  }

  /** Whether readers will have the chunk from peers without the origin's word, if only when the whole digest matched. */
  isUndisputed(index: number): boolean {
    return isReleased(this.#components.book.outlook(index), true)
  }

  /** Whether the peer may have the version that is taken: who itself states another one gives that. */
  mayComeFrom(peer: string, index: number): boolean {
    const expected = this.expected.get(index)
    if (expected === undefined) return true
    return (this.#components.book.statedBy(peer, index) ?? expected) === expected
  }

  /** Whether a chunk that a peer brought is kept. */
  accepts(index: number, hash: ChunkHash): boolean {
    const expected = this.expected.get(index)
    return expected === undefined ? this.#components.book.isPossible(index, hash) : expected === hash
  }

  /**
   * Chunks that are here, or on their way, on the word of signers whom nothing has confirmed; apart, by signer, those of which one
   * says that it got them from the origin. Good until the next call.
   * @param onTheirWay from peers
   */
  risks(onTheirWay: ChunkSet): Risks {
    const { chunks, book } = this.#components
    const { risky: all } = book
    const risky = onTheirWay.copy()
    risky.keepAll(chunks.absent)
    risky.keepAll(all)
    risky.addAll(this.#risksHere(all))
    const counted = this.#counted?.all === all ? this.#counted : undefined
    const counts = counted?.counts ?? { risky: 0, bySigner: new Map<string, number>() }
    const before = counted?.risky ?? new ChunkSet(risky.count)
    this.#count(counts, { of: risky, without: before, by: 1 })
    this.#count(counts, { of: before, without: risky, by: -1 })
    this.#counted = { all, risky, counts }
    return counts
  }

  #risksHere(all: ChunkSet): ChunkSet {
    const { chunks, book } = this.#components
    const known = this.#here
    const { changes } = chunks
    if (known?.changes === changes && known.all === all && known.sure === this.sure.size) return known.risky
    const risky = new ChunkSet(all.count)
    for (let index = all.next(0); index >= 0; index = all.next(index + 1)) {
      const state = chunks.of(index)
      const isFromPeer = state === 'arrived' || (state === 'verified' && !book.own.has(index) && !this.sure.has(index))
      if (isFromPeer) risky.add(index)
    }
    this.#here = { changes, all, sure: this.sure.size, risky }
    return risky
  }

  #count(counts: RiskCounts, { of, without, by }: { of: ChunkSet; without: ChunkSet; by: 1 | -1 }): void {
    if (of.isWithin(without)) return
    const { book } = this.#components
    const some = of.copy()
    some.deleteAll(without)
    for (let index = some.next(0); index >= 0; index = some.next(index + 1)) {
      const signer = book.unconfirmed(index)
      if (signer === undefined || book.isMapper(signer)) counts.risky += by
      else counts.bySigner.set(signer, (counts.bySigner.get(signer) ?? 0) + by)
    }
  }
}
