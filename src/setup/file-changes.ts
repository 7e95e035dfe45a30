/**
 * Puts several files in their places, or none: all are written beside their targets first, and each target must still be
 * what it was when the change was planned. A crash in between leaves files that are old or new, never torn.
 */
import { posix } from 'node:path'
import type { FileAttributes, HostFiles } from './host-files.ts'
import { refused } from './setup-error.ts'
import { bookOf, formatRecord, type UndoRecord } from './undo-book.ts'

export interface FileChange {
  readonly path: string
  /** As it was read; undefined: there is no such file. */
  readonly now: string | undefined
  /** Undefined removes the file. */
  readonly next: string | undefined
  readonly attributes: FileAttributes | undefined
  /** What the book says from now on; undefined ends it. */
  readonly record: UndoRecord | undefined
  /** Folders that go when they are empty, outermost first. */
  readonly oldDirs: readonly string[]
}

interface Staged {
  readonly change: FileChange
  readonly file: string | undefined
  readonly book: string | undefined
}

const BOOK_MODE = 0o600

/** @throws ShoalError SETUP_REFUSED */
export function applyChanges(files: HostFiles, changes: readonly FileChange[]): void {
  const staged: Staged[] = []
  const made: string[] = []
  let done = 0
  try {
    for (const change of changes) staged.push(stage(files, change, made))
    for (const { path, now } of changes) {
      if (files.read(path)?.text !== now) throw refused(`${path} was changed meanwhile. Run it again.`)
    }
    for (const one of staged) {
      commit(files, one)
      done += 1
    }
  } finally {
    for (const { file, book } of staged.slice(done)) {
      for (const leftover of [file, book]) if (leftover !== undefined) files.discard(leftover)
    }
    if (done === 0) for (const dir of made.toReversed()) files.removeEmptyDir(dir)
  }
}

function stage(files: HostFiles, change: FileChange, made: string[]): Staged {
  const { path, next, now, record, attributes } = change
  const dirs = next === undefined ? [] : files.makeDir(posix.dirname(path))
  made.push(...dirs)
  const file = next === undefined || next === now ? undefined : files.stage(path, next, attributes)
  if (record === undefined) return { change, file, book: undefined }
  try {
    const known = { ...record, dirs: [...record.dirs, ...dirs] }
    const owner = attributes && { ...attributes, mode: BOOK_MODE }
    const text = formatRecord(path, known)
    return { change, file, book: files.stage(bookOf(path), text, owner ?? files.self(BOOK_MODE)) }
  } catch (error) {
    if (file !== undefined) files.discard(file)
    throw error
  }
}

function commit(files: HostFiles, { change, file, book }: Staged): void {
  if (book !== undefined) files.replace(bookOf(change.path), book)
  if (change.next === undefined) files.remove(change.path)
  else if (file !== undefined) files.replace(change.path, file)
  if (change.record === undefined) files.remove(bookOf(change.path))
  for (const dir of change.oldDirs.toReversed()) files.removeEmptyDir(dir)
}
