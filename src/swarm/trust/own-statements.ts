/**
 * What this agent states itself: one map for each complete blob that was asked for, and claims for chunks of blobs under way. Owns these statements, signed once
 * and kept while they are likely to be asked for again; bounded by the hashes they hold. Called by `WantDesk`.
 */
import { LRUCache } from 'lru-cache'
import { planChunks } from '../../blob/chunk-plan.ts'
import type { ChunkHash, ChunkStatement, SharedContent } from '../../blob/ports.ts'
import type { Digest } from '../../oci/digest.ts'
import { lru } from '../../util/lru.ts'
import type { Members } from '../swarm-ports.ts'
import { isStatable, MAX_CLAIM_CHUNKS, mapOf, signStatement } from './statement.ts'

// about 2.5 MB
const MAX_KEPT_HASHES = 24_576
const MAX_CLAIMED_BLOBS = 64
/** Computing the hashes of a large blob takes seconds; one that is damaged has none. */
const HASHES_MS = 60_000

interface Claims {
  readonly size: number
  /** What was said last about each chunk. */
  readonly hashes: Map<number, ChunkHash>
  statements: ChunkStatement[]
  signing: Promise<void>
}

export interface OwnStatementsComponents {
  readonly members: Pick<Members, 'self' | 'sign'>
  readonly content: Pick<SharedContent, 'chunkHashes'>
}

export class OwnStatements {
  readonly #components: OwnStatementsComponents
  readonly #maps = new LRUCache<Digest, ChunkStatement>({
    maxSize: MAX_KEPT_HASHES,
    sizeCalculation: (map) => map.hashes.size,
  })
  readonly #makingMaps = new Map<Digest, Promise<ChunkStatement | undefined>>()
  readonly #claims = lru<Digest, Claims>(MAX_CLAIMED_BLOBS)

  constructor(components: OwnStatementsComponents) {
    this.#components = components
  }

  /** The map of a complete blob if it was signed before. */
  knownMap(digest: Digest): ChunkStatement | undefined {
    return this.#maps.get(digest)
  }

  /** @returns undefined when the blob is not complete here or has more chunks than a map can have. Never throws. */
  map(digest: Digest, size: number): Promise<ChunkStatement | undefined> {
    const running = this.#makingMaps.get(digest)
    if (running !== undefined) return running
    const making = this.#makeMap(digest, size).catch(() => undefined)
    this.#makingMaps.set(digest, making)
    return making.finally(() => this.#makingMaps.delete(digest))
  }

  /** Statements that cover these claims, of which those that were not made before are signed now, together. */
  async claims(
    digest: Digest,
    size: number,
    hashes: ReadonlyMap<number, ChunkHash>,
  ): Promise<readonly ChunkStatement[]> {
    let claims = this.#claims.get(digest)
    if (claims?.size !== size) {
      claims = { size, hashes: new Map(), statements: [], signing: Promise.resolve() }
      this.#claims.set(digest, claims)
    }
    this.#sign(digest, claims, hashes)
    await claims.signing
    return claims.statements
  }

  /** Statements of `claims`, when nothing has to be signed for them. */
  knownClaims(digest: Digest, hashes: ReadonlyMap<number, ChunkHash>): readonly ChunkStatement[] | undefined {
    if (hashes.size === 0) return []
    const claims = this.#claims.get(digest)
    if (claims === undefined || newOf(claims, hashes).length > 0) return undefined
    const isSigned = claims.hashes.size === claims.statements.reduce((sum, claim) => sum + claim.hashes.size, 0)
    return isSigned ? claims.statements : undefined
  }

  /** The blob is gone, or complete: what was claimed while it came is of no use. */
  forget(digest: Digest): void {
    this.#claims.delete(digest)
    this.#maps.delete(digest)
  }

  async #makeMap(digest: Digest, size: number): Promise<ChunkStatement | undefined> {
    const { members, content } = this.#components
    const hashes = await content.chunkHashes(digest, { signal: AbortSignal.timeout(HASHES_MS) })
    if (hashes === undefined || hashes.length !== planChunks(size).count) return undefined
    if (!isStatable('map', hashes.length)) return undefined
    const map = await signStatement(members, mapOf(digest, size, hashes))
    this.#maps.set(digest, map)
    return map
  }

  #sign(digest: Digest, claims: Claims, hashes: ReadonlyMap<number, ChunkHash>): void {
    const { count } = planChunks(claims.size)
    for (const [index] of newOf(claims, hashes)) retract(claims, index)
    const fresh = newOf(claims, hashes).filter(([index]) => index >= 0 && index < count)
    if (fresh.length === 0) return
    for (const [index, hash] of fresh) claims.hashes.set(index, hash)
    for (let at = 0; at < fresh.length; at += MAX_CLAIM_CHUNKS) {
      const part = new Map(fresh.slice(at, at + MAX_CLAIM_CHUNKS))
      claims.signing = claims.signing.then(async () => {
        const unsigned = { kind: 'claim', digest, size: claims.size, hashes: part } as const
        const statement = await signStatement(this.#components.members, unsigned)
        const isCurrent = [...part].every(([index, hash]) => claims.hashes.get(index) === hash)
        if (isCurrent) claims.statements = [...claims.statements, statement]
        else for (const [index, hash] of part) if (claims.hashes.get(index) === hash) claims.hashes.delete(index)
      })
    }
  }
}

/** The chunk came anew, with another hash: what was said before is not said again, and the rest of it has to be signed anew. */
function retract(claims: Claims, index: number): void {
  if (!claims.hashes.has(index)) return
  const wrong = claims.statements.filter((claim) => claim.hashes.has(index))
  claims.statements = claims.statements.filter((claim) => !claim.hashes.has(index))
  claims.hashes.delete(index)
  for (const claim of wrong) for (const other of claim.hashes.keys()) claims.hashes.delete(other)
}

function newOf(claims: Claims, hashes: ReadonlyMap<number, ChunkHash>): [number, ChunkHash][] {
  return [...hashes].filter(([index, hash]) => claims.hashes.get(index) !== hash)
}
