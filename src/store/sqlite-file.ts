import { chmodSync, renameSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { errnoOf } from './file-errors.ts'

/** SQLITE_CORRUPT and SQLITE_NOTADB: https://www.sqlite.org/rescode.html */
const DAMAGED = new Set([11, 26])

export interface SqliteInit {
  readonly path: string
  readonly version: number
  /** Statements that make an empty file one of this version. */
  readonly schema: string
}

/**
 * Opens a database that can be made anew from elsewhere: one that is damaged or of another schema version is moved aside
 * to `<path>.damaged-<milliseconds>` and an empty one takes its place.
 * @throws Error when the directory cannot be written to
 */
export function openRebuildable(components: { log: Logger; clock: Clock }, init: SqliteInit): DatabaseSync {
  try {
    return openChecked(init)
  } catch (error) {
    if (!isDamage(error)) throw error
    const aside = `${init.path}.damaged-${components.clock()}`
    components.log.warn({ path: init.path, aside, err: error }, 'a damaged database was moved aside')
    moveAside(init.path, aside)
    return openChecked(init)
  }
}

/** After a failed write: SQLite may have rolled back by itself, and on a broken disk even this fails. */
export function rollBack(database: DatabaseSync | undefined): void {
  try {
    if (database?.isTransaction) database.exec('ROLLBACK')
  } catch {
    // The error that led here is the one to report.
  }
}

class DamagedError extends Error {}

function openChecked(init: SqliteInit): DatabaseSync {
  const database = new DatabaseSync(init.path, { timeout: 1000 })
  keepPrivate(init.path)
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    const found = database.prepare('PRAGMA quick_check(1)').get()
    if (found?.['quick_check'] !== 'ok') throw new DamagedError(`quick_check: ${String(found?.['quick_check'])}`)
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
    const tables = Number(database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.['count'])
    if (version === 0 && tables === 0) {
      database.exec(`BEGIN; ${init.schema}; PRAGMA user_version = ${init.version}; COMMIT`)
    } else if (version !== init.version) throw new DamagedError(`schema version ${version}`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function isDamage(error: unknown): boolean {
  if (error instanceof DamagedError) return true
  const { errcode } = error as { errcode?: number }
  // The low byte is the primary code: https://www.sqlite.org/rescode.html#primary_result_codes_versus_extended_result_codes
  return errcode !== undefined && DAMAGED.has(errcode & 0xff)
}

function moveAside(path: string, aside: string): void {
  // First what belongs to the damaged file: a crash in between must not leave it to be applied to a new one.
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true })
  try {
    renameSync(path, aside)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** The names of private repositories are nobody else's on this host; SQLite gives its other files the same mode. */
function keepPrivate(path: string): void {
  try {
    chmodSync(path, 0o600)
  } catch {
    // A read-only disk, or a file of another owner: who can read it was decided there.
  }
}
