/**
 * What is said about the hashes of one blob's chunks, and by whom. Pure bookkeeping of one transfer.
 *
 * Per chunk a signer counts with one hash: the first it stated, which only its own map replaces. Only statements that add
 * something are kept, so what is kept is bounded by the plan, however much is stated.
 */
import type { Evidence } from './chunk-evidence.ts'
import type { ChunkPlan } from './chunk-plan.ts'
import { ChunkSet } from './chunk-set.ts'
import type { ChunkHash, ChunkStatement } from './ports.ts'

/** More signers for one hash add nothing that two do not. Some more, for one may turn out to be a liar. */
const MAX_SIGNERS_PER_HASH = 4
const MAX_HASHES_PER_CHUNK = 8
const MAX_STATEMENTS = 4_096

/** By hash, who states it. */
type Stated = Map<ChunkHash, Set<string>>

/** What is said about a chunk, in short. */
interface Outlook {
  readonly evidence: Evidence
  readonly unconfirmed: string | undefined
}

export class ClaimBook {
  readonly #plan: ChunkPlan
  readonly #chunks = new Map<number, Stated>()
  readonly #own = new Map<number, ChunkHash>()
  readonly #statements: ChunkStatement[] = []
  readonly #mappers = new Set<string>()
  readonly #banned = new Set<string>()
  /** Signers whom the origin has contradicted: their word counts for nothing unless all else fails. */
  readonly #contradicted = new Set<string>()
  /** Signers of whom the origin, or another signer, has confirmed a chunk. */
  readonly #confirmed = new Set<string>()
  readonly #onlyHash: ChunkHash | undefined
  /** By chunk, until what is said about it, or whom to believe, changes: it is asked for many times in between. */
  readonly #outlooks: (Outlook | undefined)[]
  #risky: ChunkSet | undefined

  /** @param init.onlyHash of a blob of one chunk: its digest is the chunk's hash, and nobody needs to state it */
  constructor(init: { readonly plan: ChunkPlan; readonly onlyHash: ChunkHash | undefined }) {
    this.#plan = init.plan
    this.#onlyHash = init.onlyHash
    this.#outlooks = Array.from({ length: init.plan.count })
  }

  /** Statements that were taken over; also those of signers that count no more. */
  get statements(): readonly ChunkStatement[] {
    return this.#statements
  }

  /** @returns whether it said something new; what is of another size never does */
  add(statement: ChunkStatement): boolean {
    const { signer, kind, size, hashes } = statement
    if (size !== this.#plan.size || this.#onlyHash !== undefined || this.#banned.has(signer)) return false
    if (this.#statements.length >= MAX_STATEMENTS) return false
    const replaces = kind === 'map' && !this.#mappers.has(signer)
    let isNew = false
    for (const [index, hash] of hashes) {
      if (Number.isInteger(index) && index >= 0 && index < this.#plan.count) {
        isNew = this.#state(index, hash, signer, replaces) || isNew
      }
    }
    if (kind === 'map' && !this.#mappers.has(signer)) {
      this.#mappers.add(signer)
      this.#risky = undefined
    }
    if (isNew) this.#statements.push(statement)
    if (isNew && [...hashes].some(([index, hash]) => this.#isContradicted(index, hash))) this.#contradict(signer)
    return isNew
  }

  /** Nothing that the signer states counts any more. */
  ban(signer: string): void {
    this.#banned.add(signer)
    this.#remove(signer)
  }

  /**
   * The origin sent the chunk with this hash. A lone signer who states another one counts no more; where several agree
   * it may be the origin that is wrong.
   * @returns the signers that it contradicts
   */
  addOwn(index: number, hash: ChunkHash): string[] {
    this.#own.set(index, hash)
    this.#risky = undefined
    const liars: string[] = []
    for (const [stated, signers] of this.#chunks.get(index) ?? []) {
      if (stated === hash) for (const signer of signers) this.#confirm(signer)
      else if (signers.size === 1) liars.push(...signers)
    }
    for (const signer of liars) this.#contradict(signer)
    return liars
  }

  /** The chunk is not here any more as the origin sent it. */
  dropOwn(index: number): void {
    this.#own.delete(index)
    this.#risky = undefined
  }

  /** Signers whom the origin has contradicted. */
  get contradicted(): ReadonlySet<string> {
    return this.#contradicted
  }

  /** Hashes of what came from the origin, by index. */
  get own(): ReadonlyMap<number, ChunkHash> {
    return this.#own
  }

  /** Whether a chunk with this hash is what somebody says it should be. */
  isPossible(index: number, hash: ChunkHash): boolean {
    return this.#onlyHash === undefined ? this.#chunks.get(index)?.has(hash) === true : hash === this.#onlyHash
  }

  /**
   * Whether anybody, or this signer, ever stated this hash, whatever became of its word: who sends such bytes may be in good
   * faith.
   */
  wasStated(index: number, hash: ChunkHash, by?: string): boolean {
    if (by === undefined && this.isPossible(index, hash)) return true
    return this.#statements.some(
      ({ hashes, signer }) => (by === undefined || signer === by) && hashes.get(index) === hash,
    )
  }

  /** Whether a chunk from a peer could be checked at all. */
  isCheckable(index: number): boolean {
    return this.#onlyHash !== undefined || this.#chunks.has(index)
  }

  /** Of what is here of the chunk, with this hash. */
  evidence(index: number, hash: ChunkHash): Evidence {
    if (this.#own.get(index) === hash) return 'own'
    if (this.#onlyHash !== undefined) return hash === this.#onlyHash ? 'agreed' : 'none'
    const stated = this.#chunks.get(index)
    const signers = stated?.get(hash)
    if (stated === undefined || stated.size === 0) return 'none'
    if (signers === undefined || stated.size > 1) return 'contested'
    return signers.size > 1 ? 'agreed' : 'lone'
  }

  /** What a chunk that peers bring would be at best. */
  outlook(index: number): Evidence {
    return this.#outlook(index).evidence
  }

  /** Chunks that are risky now. Nobody changes it; it is another one when anything has changed that `ChunkTrust.risks` asks for. */
  get risky(): ChunkSet {
    this.#risky ??= ChunkSet.of(this.#plan.count, (index) => this.isRisky(index))
    return this.#risky
  }

  /** Whether all there is for the chunk is the word of signers that nothing has confirmed yet. */
  isRisky(index: number): boolean {
    const { evidence, unconfirmed } = this.#outlook(index)
    return evidence === 'contested' || unconfirmed !== undefined
  }

  /** The one whose unconfirmed word is all there is for the chunk. */
  unconfirmed(index: number): string | undefined {
    return this.#outlook(index).unconfirmed
  }

  /** Whether it says that it had the whole blob. */
  isMapper(signer: string): boolean {
    return this.#mappers.has(signer)
  }

  /** What counts of the signer's word about the chunk; undefined: nothing. */
  statedBy(signer: string, index: number): ChunkHash | undefined {
    for (const [hash, signers] of this.#chunks.get(index) ?? []) if (signers.has(signer)) return hash
    return undefined
  }

  /** What each signer states that is not banned, by index; first those who say that they had the whole blob. */
  bySigner(): Map<string, Map<number, ChunkHash>> {
    const signers = new Map<string, Map<number, ChunkHash>>()
    const mapsFirst = this.#statements.toSorted((a, b) => Number(b.kind === 'map') - Number(a.kind === 'map'))
    for (const { signer, hashes } of mapsFirst) {
      if (this.#banned.has(signer)) continue
      const known = signers.get(signer) ?? new Map<number, ChunkHash>()
      for (const [index, hash] of hashes) if (index < this.#plan.count && !known.has(index)) known.set(index, hash)
      signers.set(signer, known)
    }
    return signers
  }

  #state(index: number, hash: ChunkHash, signer: string, replaces: boolean): boolean {
    const stated: Stated = this.#chunks.get(index) ?? new Map<ChunkHash, Set<string>>()
    if (this.#contradicted.has(signer)) return false
    const before = [...stated].find(([, signers]) => signers.has(signer))
    if (before !== undefined && (before[0] === hash || !replaces)) return false
    const signers = stated.get(hash)
    if (signers === undefined ? stated.size >= MAX_HASHES_PER_CHUNK : signers.size >= MAX_SIGNERS_PER_HASH) return false
    if (before !== undefined) {
      before[1].delete(signer)
      if (before[1].size === 0) stated.delete(before[0])
    }
    stated.set(hash, (signers ?? new Set()).add(signer))
    this.#chunks.set(index, stated)
    const agreeing = stated.get(hash) ?? new Set()
    this.#outlooks[index] = undefined
    this.#risky = undefined
    if (this.#own.get(index) === hash || agreeing.size > 1) for (const each of agreeing) this.#confirm(each)
    return true
  }

  #outlook(index: number): Outlook {
    const known = this.#outlooks[index]
    if (known !== undefined) return known
    const outlook = this.#lookAt(index)
    if (index < this.#outlooks.length) this.#outlooks[index] = outlook
    return outlook
  }

  #lookAt(index: number): Outlook {
    if (this.#onlyHash !== undefined) return { evidence: 'agreed', unconfirmed: undefined }
    const stated = this.#chunks.get(index)
    if (stated === undefined || stated.size === 0) return { evidence: 'none', unconfirmed: undefined }
    if (stated.size > 1) return { evidence: 'contested', unconfirmed: undefined }
    const [signers] = stated.values()
    if (signers !== undefined && signers.size > 1) return { evidence: 'agreed', unconfirmed: undefined }
    const [signer] = signers ?? []
    const isConfirmed = signer === undefined || this.#confirmed.has(signer)
    return { evidence: 'lone', unconfirmed: isConfirmed ? undefined : signer }
  }

  #confirm(signer: string): void {
    if (this.#confirmed.has(signer)) return
    this.#confirmed.add(signer)
    this.#lookAgain()
  }

  #lookAgain(): void {
    this.#outlooks.fill(undefined)
    this.#risky = undefined
  }

  #isContradicted(index: number, hash: ChunkHash): boolean {
    const own = this.#own.get(index)
    return own !== undefined && own !== hash && (this.#chunks.get(index)?.get(hash)?.size ?? 0) === 1
  }

  #contradict(signer: string): void {
    this.#contradicted.add(signer)
    this.#remove(signer)
  }

  #remove(signer: string): void {
    this.#confirmed.delete(signer)
    this.#lookAgain()
    for (const [index, stated] of this.#chunks) {
      for (const [hash, signers] of stated) {
        if (signers.delete(signer) && signers.size === 0) stated.delete(hash)
      }
      if (stated.size === 0) this.#chunks.delete(index)
    }
  }
}
