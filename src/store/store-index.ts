/**
 * What complete blobs there are. Rows live in memory, for `stat` is asked thousands of times a second, and are written
 * through to SQLite; the last use is written in batches. A write that fails costs nothing but a scan: the file is
 * brought in line with the disk at every start.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ContentEvents, StoredBlob } from '../blob/ports.ts'
import { type Digest, digestHex, isDigest } from '../oci/digest.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { namesIn } from './names-in.ts'
import { openRebuildable, rollBack } from './sqlite-file.ts'
import { digestOfFileName, type StorePaths } from './store-paths.ts'

const VERSION = 1
const FLUSH_MS = 5_000
const SCHEMA = `CREATE TABLE blobs (
  digest TEXT PRIMARY KEY, size INTEGER NOT NULL, stored_at INTEGER NOT NULL, used_at INTEGER NOT NULL,
  pinned INTEGER NOT NULL
) WITHOUT ROWID`

interface Statements {
  readonly put: StatementSync
  readonly remove: StatementSync
  readonly touch: StatementSync
}

type Row = { -readonly [Key in keyof StoredBlob]: StoredBlob[Key] }

export class StoreIndex {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #paths: StorePaths
  readonly #rows = new Map<Digest, Row>()
  readonly #touched = new Set<Row>()
  readonly #listeners = new Set<ContentEvents>()
  #bytes = 0
  #database: DatabaseSync | undefined
  #statements: Statements | undefined
  #flushTimer: NodeJS.Timeout | undefined
  #hasWarned = false

  constructor(components: { log: Logger; clock: Clock }, init: { paths: StorePaths }) {
    this.#log = components.log
    this.#clock = components.clock
    this.#paths = init.paths
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#rows.size
  }

  /**
   * Opens the file and brings it in line with the blobs on disk. On a full or read-only disk it goes on in memory.
   * @throws Error when the blobs cannot be listed
   */
  async open(): Promise<void> {
    this.#write(() => this.#openDatabase())
    await this.#reconcile()
  }

  close(): void {
    this.#flush()
    clearTimeout(this.#flushTimer)
    this.#statements = undefined
    this.#database?.close()
    this.#database = undefined
  }

  subscribe(events: ContentEvents): () => void {
    this.#listeners.add(events)
    return () => this.#listeners.delete(events)
  }

  get(digest: Digest): StoredBlob | undefined {
    return this.#rows.get(digest)
  }

  list(): StoredBlob[] {
    return [...this.#rows.values()]
  }

  add(digest: Digest, size: number): void {
    const now = this.#clock()
    this.#insert({ digest, size, storedAt: now, usedAt: now, pinned: this.#rows.get(digest)?.pinned ?? false })
  }

  /** @returns whether it was there */
  remove(digest: Digest): boolean {
    const row = this.#rows.get(digest)
    if (row === undefined) return false
    this.#rows.delete(digest)
    this.#touched.delete(row)
    this.#bytes -= row.size
    this.#write(() => this.#statements?.remove.run(digest))
    for (const listener of this.#listeners) listener.removed(digest)
    return true
  }

  /** Takes back a removal. */
  restore(blob: StoredBlob): void {
    if (!this.#rows.has(blob.digest)) this.#insert({ ...blob })
  }

  touch(digest: Digest): void {
    const row = this.#rows.get(digest)
    if (row === undefined) return
    row.usedAt = this.#clock()
    this.#touched.add(row)
    this.#flushTimer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref()
  }

  /** @returns whether it was there */
  pin(digest: Digest, pinned: boolean): boolean {
    const row = this.#rows.get(digest)
    if (row === undefined) return false
    row.pinned = pinned
    this.#write(() => this.#statements?.put.run(...values(row)))
    return true
  }

  #openDatabase(): void {
    const components = { log: this.#log, clock: this.#clock }
    const database = openRebuildable(components, { path: this.#paths.index, version: VERSION, schema: SCHEMA })
    this.#database = database
    this.#statements = {
      put: database.prepare('INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?, ?)'),
      remove: database.prepare('DELETE FROM blobs WHERE digest = ?'),
      touch: database.prepare('UPDATE blobs SET used_at = ? WHERE digest = ?'),
    }
    for (const raw of database.prepare('SELECT * FROM blobs').iterate()) this.#load(raw)
  }

  #insert(row: Row): void {
    const before = this.#rows.get(row.digest)
    if (before !== undefined) this.#touched.delete(before)
    this.#bytes += row.size - (before?.size ?? 0)
    this.#rows.set(row.digest, row)
    this.#write(() => this.#statements?.put.run(...values(row)))
    if (before === undefined) for (const listener of this.#listeners) listener.added(row.digest)
  }

  #load(raw: Record<string, unknown>): void {
    const digest = String(raw['digest'])
    const [size, storedAt, usedAt] = [Number(raw['size']), Number(raw['stored_at']), Number(raw['used_at'])]
    if (!isDigest(digest) || !Number.isSafeInteger(size) || size < 0) return
    this.#rows.set(digest, { digest, size, storedAt, usedAt, pinned: raw['pinned'] === 1 })
    this.#bytes += size
  }

  async #reconcile(): Promise<void> {
    const onDisk = new Set<Digest>()
    for (const shard of await readdir(this.#paths.blobs)) {
      for (const name of await namesIn(join(this.#paths.blobs, shard))) {
        const digest = digestOfFileName(name)
        if (digest !== undefined && digestHex(digest).slice(0, 2) === shard) onDisk.add(digest)
      }
    }
    const missing = [...this.#rows.keys()].filter((digest) => !onDisk.has(digest))
    const unknown = [...onDisk].filter((digest) => !this.#rows.has(digest))
    for (const digest of missing) this.remove(digest)
    for (const digest of unknown) await this.#adopt(digest)
    if (missing.length + unknown.length > 0) {
      const counts = { missing: missing.length, found: unknown.length }
      this.#log.info(counts, 'the index was brought in line with the blobs on disk')
    }
  }

  async #adopt(digest: Digest): Promise<void> {
    const file = await stat(this.#paths.blob(digest))
    if (!file.isFile()) return
    const at = Math.round(file.mtimeMs)
    this.#insert({ digest, size: file.size, storedAt: at, usedAt: at, pinned: false })
  }

  #flush(): void {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    if (this.#touched.size === 0) return
    const rows = [...this.#touched]
    this.#touched.clear()
    this.#write(() => {
      this.#database?.exec('BEGIN')
      for (const row of rows) this.#statements?.touch.run(row.usedAt, row.digest)
      this.#database?.exec('COMMIT')
    })
  }

  #write(work: () => void): void {
    try {
      work()
      this.#hasWarned = false
    } catch (error) {
      rollBack(this.#database)
      if (!this.#hasWarned) this.#log.warn({ err: error }, 'the index could not be written; it goes on in memory')
      this.#hasWarned = true
    }
  }
}

function values(row: Row): [string, number, number, number, number] {
  return [row.digest, row.size, row.storedAt, row.usedAt, row.pinned ? 1 : 0]
}
