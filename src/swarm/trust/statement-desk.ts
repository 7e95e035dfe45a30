/**
 * Verified statements. Owns a memory of those that were verified lately, so that one that many peers pass on is verified once;
 * it is bounded by the hashes it holds.
 */
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { ChunkStatement } from '../../blob/ports.ts'
import type { Clock } from '../../util/clock.ts'
import { lru } from '../../util/lru.ts'
import { RateLimit } from '../../util/rate-limit.ts'
import type { Members } from '../swarm-ports.ts'
import { parseStatement, verifyStatement } from './statement.ts'

// about 2.5 MB
const MAX_KEPT_HASHES = 24_576
/** New statements from one peer; each costs a verification of about 0.1 ms. */
const RATE = { perSecond: 200, burst: 2_000 }

const keys = new WeakMap<ChunkStatement, string>()

/** The same for equal statements. */
export function statementKey(statement: ChunkStatement): string {
  let key = keys.get(statement)
  if (key === undefined) {
    key = keyOf(statement.encoded)
    keys.set(statement, key)
  }
  return key
}

export class StatementDesk {
  readonly #members: Pick<Members, 'verify'>
  readonly #verified = new LRUCache<string, ChunkStatement>({
    maxSize: MAX_KEPT_HASHES,
    sizeCalculation: (statement) => statement.hashes.size,
  })
  readonly #pending = new Map<string, Promise<ChunkStatement>>()
  readonly #clock: Clock
  readonly #rates = lru<string, RateLimit>(1_000)

  constructor(components: { readonly members: Pick<Members, 'verify'>; readonly clock: Clock }) {
    this.#members = components.members
    this.#clock = components.clock
  }

  /** What was verified before, without waiting. */
  known(encoded: Uint8Array): ChunkStatement | undefined {
    return this.#verified.get(keyOf(encoded))
  }

  /** Like `verify`, but not faster than one peer may cause work. */
  async verifyFrom(peer: string, encoded: Uint8Array): Promise<ChunkStatement> {
    const known = this.known(encoded)
    if (known !== undefined) return known
    const rate = this.#rates.get(peer) ?? new RateLimit({ clock: this.#clock }, RATE)
    this.#rates.set(peer, rate)
    const waitMs = rate.take(1)
    if (waitMs > 0) await delay(waitMs, undefined, { ref: false })
    return this.verify(encoded)
  }

  /** @throws ShoalError PEER_MISBEHAVED when it is no statement or its signature does not match */
  async verify(encoded: Uint8Array): Promise<ChunkStatement> {
    const key = keyOf(encoded)
    const known = this.#verified.get(key)
    if (known !== undefined) return known
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending
    const verifying = this.#verify(key, encoded)
    this.#pending.set(key, verifying)
    try {
      return await verifying
    } finally {
      this.#pending.delete(key)
    }
  }

  async #verify(key: string, encoded: Uint8Array): Promise<ChunkStatement> {
    const statement = await verifyStatement(this.#members, parseStatement(encoded))
    keys.set(statement, key)
    this.#verified.set(key, statement)
    return statement
  }
}

function keyOf(encoded: Uint8Array): string {
  return createHash('sha256').update(encoded).digest('base64')
}
