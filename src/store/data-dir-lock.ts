import { accessSync, constants, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ShoalError } from '../errors.ts'
import { toStoreError } from './file-errors.ts'
import { makeDirectory } from './make-directory.ts'

/** Primary result codes: https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5
const SQLITE_NOTADB = 26

/** Keeps what is held from the garbage collector, which would close it and so give the lock away. */
const held = new Set<DatabaseSync>()

/**
 * Makes sure that one agent uses a data directory. The lock is an open transaction on an empty SQLite file: the operating system
 * gives it back however the process ends.
 */
export class DataDirLock implements Disposable {
  readonly #dir: string
  #database: DatabaseSync | undefined

  constructor(init: { dir: string }) {
    this.#dir = init.dir
  }

  /**
   * Makes the directory if need be.
   * @throws ShoalError STORE_LOCKED when another agent has it, STORE_FULL or STORE_FAILED when it can't be used
   */
  acquire(): void {
    if (this.#database !== undefined) return
    try {
      makeDirectory(this.#dir)
      this.#database = this.#begin()
      held.add(this.#database)
      this.#notePid()
    } catch (error) {
      throw toStoreError(error, `store.dir: the data directory ${this.#dir} cannot be used: ${this.#reason(error)}`)
    }
  }

  release(): void {
    if (this.#database === undefined) return
    this.#database.close()
    held.delete(this.#database)
    this.#database = undefined
  }

  [Symbol.dispose](): void {
    this.release()
  }

  get #file(): string {
    return join(this.#dir, 'lock.sqlite')
  }

  get #pidFile(): string {
    return join(this.#dir, 'agent.pid')
  }

  #begin(): DatabaseSync {
    try {
      return beginExclusive(this.#file)
    } catch (error) {
      const code = primaryCode(error)
      if (code === SQLITE_BUSY) throw this.#locked(error)
      if (code !== SQLITE_NOTADB) throw error
      // It is always empty, so nobody can hold it as it is; emptied in place, for a new file could be locked beside the old one.
      truncateSync(this.#file)
      return beginExclusive(this.#file)
    }
  }

  #reason(error: unknown): string {
    const said = error instanceof Error ? error.message : String(error)
    // SQLite does not say why it cannot open a file
    if (primaryCode(error) === undefined) return said
    try {
      accessSync(this.#dir, constants.W_OK | constants.X_OK)
      return said
    } catch (denied) {
      return (denied as Error).message
    }
  }

  #notePid(): void {
    try {
      writeFileSync(this.#pidFile, `${process.pid}\n`)
    } catch {
      // It only serves the message of the next agent; a full disk is no reason not to have the lock.
      rmSync(this.#pidFile, { force: true })
    }
  }

  #locked(cause: unknown): ShoalError {
    const pid = this.#holder()
    const who = pid === undefined ? 'another agent' : `another agent (process ${pid})`
    const detail = { dir: this.#dir, ...(pid === undefined ? {} : { pid }) }
    return new ShoalError('STORE_LOCKED', `${who} uses the data directory ${this.#dir}`, { cause, detail })
  }

  #holder(): number | undefined {
    try {
      const pid = Number.parseInt(readFileSync(this.#pidFile, 'utf8'), 10)
      return Number.isSafeInteger(pid) ? pid : undefined
    } catch {
      return undefined
    }
  }
}

function beginExclusive(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 0 })
  try {
    // The first transaction on an empty file starts a journal, for which a full disk has no room.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function primaryCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: number }
  return errcode === undefined ? undefined : errcode & 0xff
}
