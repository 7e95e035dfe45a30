import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { LRUCache } from 'lru-cache'
import type { Clock } from '../util/clock.ts'
import { lru } from '../util/lru.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** What waits for a disk that takes nothing; beyond it the oldest is given up. */
const MAX_PENDING = 50_000

interface Entry {
  /** undefined: there is none. */
  readonly value: string | undefined
  readonly usedAt: number
}

interface Statements {
  readonly get: StatementSync
  readonly put: StatementSync
  readonly remove: StatementSync
  readonly prune: StatementSync
}

/** A table key → text in SQLite with its hot rows in memory. Writes wait in memory for `flush`, and reads see them. */
export class WrittenBehindTable {
  readonly #clock: Clock
  readonly #name: string
  readonly #cache: LRUCache<string, Entry>
  readonly #pending = new Map<string, Entry>()
  readonly #onPending: () => void
  #statements: Statements | undefined

  /** @param components.onPending there is something to flush */
  constructor(components: { clock: Clock; onPending: () => void }, init: { name: string; maxCached: number }) {
    this.#clock = components.clock
    this.#onPending = components.onPending
    this.#name = init.name
    this.#cache = lru(init.maxCached)
  }

  get schema(): string {
    return `CREATE TABLE ${this.#name} (key TEXT PRIMARY KEY, value TEXT NOT NULL, used_at INTEGER NOT NULL) WITHOUT ROWID`
  }

  /** Without a database, or one that takes nothing, the table is what is in memory. */
  attach(database: DatabaseSync): void {
    this.#statements = {
      get: database.prepare(`SELECT value, used_at FROM ${this.#name} WHERE key = ?`),
      put: database.prepare(`INSERT OR REPLACE INTO ${this.#name} VALUES (?, ?, ?)`),
      remove: database.prepare(`DELETE FROM ${this.#name} WHERE key = ?`),
      prune: database.prepare(`DELETE FROM ${this.#name} WHERE used_at < ?`),
    }
  }

  detach(): void {
    this.#statements = undefined
  }

  get(key: string): string | undefined {
    const entry = this.#pending.get(key) ?? this.#cache.get(key) ?? this.#load(key)
    // A use is noted once a day, so that reading costs no writes.
    if (entry.value !== undefined && this.#clock() - entry.usedAt > DAY_MS) this.#put(key, entry.value)
    return entry.value
  }

  set(key: string, value: string): void {
    if (this.get(key) !== value) this.#put(key, value)
  }

  delete(key: string): void {
    if (this.get(key) !== undefined) this.#put(key, undefined)
  }

  /** Inside a transaction. What was written stays pending until `flushed`. @throws Error of SQLite */
  flush(): void {
    for (const [key, { value, usedAt }] of this.#pending) {
      if (value === undefined) this.#statements?.remove.run(key)
      else this.#statements?.put.run(key, value, usedAt)
    }
  }

  /** The transaction of `flush` is committed. */
  flushed(): void {
    this.#pending.clear()
  }

  /** Removes what was last used before `before`. @returns how many. @throws Error of SQLite */
  prune(before: number): number {
    this.#cache.clear()
    return Number(this.#statements?.prune.run(before).changes ?? 0)
  }

  #put(key: string, value: string | undefined): void {
    const entry = { value, usedAt: this.#clock() }
    this.#cache.set(key, entry)
    this.#pending.delete(key)
    this.#pending.set(key, entry)
    if (this.#pending.size > MAX_PENDING) this.#pending.delete(this.#pending.keys().next().value ?? key)
    this.#onPending()
  }

  #load(key: string): Entry {
    const row = this.#read(key)
    const value = row === undefined ? undefined : String(row['value'])
    const entry = { value, usedAt: Number(row?.['used_at'] ?? 0) }
    this.#cache.set(key, entry)
    return entry
  }

  #read(key: string): Record<string, unknown> | undefined {
    try {
      return this.#statements?.get.get(key)
    } catch {
      // What cannot be read is asked of the origin again.
      return undefined
    }
  }
}
