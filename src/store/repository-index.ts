/**
 * What origins said about their repositories, in `repositories.sqlite`. Reads come from memory or one indexed row; writes
 * reach the disk in batches, at most a second later. It is a memory of the origin and not a truth: a disk that cannot
 * be written to, or a damaged file, costs what was remembered and never a pull.
 */
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { RepositoryIndex, SeenTag } from '../blob/ports.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { openRebuildable, rollBack } from './sqlite-file.ts'
import { WrittenBehindTable } from './written-behind-table.ts'

const VERSION = 1
const FLUSH_MS = 1_000
/** After a failure. */
const RETRY_MS = 30_000
const DAY_MS = 24 * 60 * 60 * 1000
const UNUSED_MS = 90 * DAY_MS
const MAX_UNKEPT_ADMISSIONS = 10_000

export class DiskRepositoryIndex implements RepositoryIndex, AsyncDisposable {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #path: string
  readonly #tags: WrittenBehindTable
  readonly #links: WrittenBehindTable
  readonly #mediaTypes: WrittenBehindTable
  readonly #admissions: WrittenBehindTable
  readonly #unkeptAdmissions = lru<string, number>(MAX_UNKEPT_ADMISSIONS)
  #database: DatabaseSync | undefined
  #flushTimer: NodeJS.Timeout | undefined
  #prunedAt = 0
  #hasWarned = false

  constructor(components: { log: Logger; clock: Clock }, init: { dir: string }) {
    this.#log = components.log
    this.#clock = components.clock
    this.#path = join(init.dir, 'repositories.sqlite')
    const clock = components.clock
    const onPending = (): void => this.#flushIn(FLUSH_MS)
    this.#tags = new WrittenBehindTable({ clock, onPending }, { name: 'tags', maxCached: 2_000 })
    this.#links = new WrittenBehindTable({ clock, onPending }, { name: 'links', maxCached: 10_000 })
    this.#mediaTypes = new WrittenBehindTable({ clock, onPending }, { name: 'media_types', maxCached: 5_000 })
    this.#admissions = new WrittenBehindTable({ clock, onPending }, { name: 'admissions', maxCached: 2_000 })
  }

  get #tables(): WrittenBehindTable[] {
    return [this.#tags, this.#links, this.#mediaTypes, this.#admissions]
  }

  /** Never fails: without its file it goes on in memory. */
  async start(): Promise<void> {
    const schema = this.#tables.map((table) => table.schema).join('; ')
    this.#attempt(() => {
      const components = { log: this.#log, clock: this.#clock }
      this.#database = openRebuildable(components, { path: this.#path, version: VERSION, schema })
      for (const table of this.#tables) table.attach(this.#database)
    })
    this.prune()
  }

  async stop(): Promise<void> {
    this.#flush()
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    for (const table of this.#tables) table.detach()
    this.#database?.close()
    this.#database = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  tag(repository: Repository, tag: string): SeenTag | undefined {
    return parseSeenTag(this.#tags.get(tagKey(repository, tag)))
  }

  recordTag(repository: Repository, tag: string, seen: SeenTag): void {
    this.#tags.set(tagKey(repository, tag), formatSeenTag(seen))
    this.#tags.delete(peersTagKey(repository, tag))
  }

  peersTag(repository: Repository, tag: string): SeenTag | undefined {
    return parseSeenTag(this.#tags.get(peersTagKey(repository, tag)))
  }

  recordPeersTag(repository: Repository, tag: string, seen: SeenTag): void {
    this.#tags.set(peersTagKey(repository, tag), formatSeenTag(seen))
  }

  forgetTag(repository: Repository, tag: string): void {
    this.#tags.delete(tagKey(repository, tag))
    this.#tags.delete(peersTagKey(repository, tag))
  }

  isLinked(repository: Repository, digest: Digest): boolean {
    return this.#links.get(`${keyOf(repository)}@${digest}`) !== undefined
  }

  link(repository: Repository, digests: readonly Digest[]): void {
    const key = keyOf(repository)
    for (const digest of digests) this.#links.set(`${key}@${digest}`, '')
  }

  mediaType(registry: string, digest: Digest): string | undefined {
    return this.#mediaTypes.get(`${registry}@${digest}`)
  }

  recordMediaType(registry: string, digest: Digest, mediaType: string): void {
    this.#mediaTypes.set(`${registry}@${digest}`, mediaType)
  }

  admittedAt(repository: Repository, identity: string): number | undefined {
    const key = admissionKey(repository, identity)
    const kept = this.#admissions.get(key)
    const unkept = this.#unkeptAdmissions.get(key)
    if (kept === undefined) return unkept
    return Math.max(Number(kept), unkept ?? 0)
  }

  recordAdmission(repository: Repository, identity: string, at: number, { keep }: { keep: boolean }): void {
    const key = admissionKey(repository, identity)
    if (keep) this.#admissions.set(key, String(at))
    else this.#unkeptAdmissions.set(key, at)
  }

  forgetAdmission(repository: Repository, identity: string): void {
    const key = admissionKey(repository, identity)
    this.#unkeptAdmissions.delete(key)
    this.#admissions.delete(key)
  }

  /** Forgets what was not used for 90 days. Done at the start and once a day while something is written. */
  prune(): void {
    if (this.#database === undefined) return
    this.#prunedAt = this.#clock()
    this.#attempt(() => {
      const before = this.#clock() - UNUSED_MS
      const removed = this.#tables.reduce((sum, table) => sum + table.prune(before), 0)
      if (removed > 0) this.#log.info({ removed }, 'forgot what was unused for long about repositories')
    })
  }

  #flushIn(ms: number): void {
    if (this.#database === undefined) return
    this.#flushTimer ??= setTimeout(() => this.#flush(), ms).unref()
  }

  #flush(): void {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    const database = this.#database
    if (database === undefined) return
    const isWritten = this.#attempt(() => {
      database.exec('BEGIN IMMEDIATE')
      for (const table of this.#tables) table.flush()
      database.exec('COMMIT')
      for (const table of this.#tables) table.flushed()
    })
    if (!isWritten) this.#flushIn(RETRY_MS)
    else if (this.#clock() - this.#prunedAt > DAY_MS) this.prune()
  }

  #attempt(work: () => void): boolean {
    try {
      work()
      this.#hasWarned = false
      return true
    } catch (error) {
      rollBack(this.#database)
      if (!this.#hasWarned) this.#log.warn({ err: error }, 'what origins said could not be written; it stays in memory')
      this.#hasWarned = true
      return false
    }
  }
}

function formatSeenTag({ digest, mediaType, size, at }: SeenTag): string {
  return JSON.stringify({ digest, mediaType, size, at })
}

/** Text of a file that others can write to. */
function parseSeenTag(text: string | undefined): SeenTag | undefined {
  if (text === undefined) return undefined
  try {
    const { digest, mediaType, size, at } = JSON.parse(text) as Record<string, unknown>
    if (typeof digest !== 'string' || !isDigest(digest) || typeof mediaType !== 'string') return undefined
    if (typeof size !== 'number' || typeof at !== 'number') return undefined
    return { digest, mediaType, size, at }
  } catch {
    return undefined
  }
}

/** Unambiguous: a registry has no slash, a name neither colon nor at sign. */
function keyOf({ registry, name }: Repository): string {
  return `${registry}/${name}`
}

function tagKey(repository: Repository, tag: string): string {
  return `${keyOf(repository)}:${tag}`
}

/** In the same table, so that files of earlier versions stay good: a tag has no space, and no earlier version asks for it. */
function peersTagKey(repository: Repository, tag: string): string {
  return `${tagKey(repository, tag)} peers`
}

function admissionKey(repository: Repository, identity: string): string {
  return `${keyOf(repository)} ${identity}`
}
