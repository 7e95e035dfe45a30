/**
 * What a file was before the set-up, in a file beside it: only whoever may write the one can write the other, while the
 * agent's data directory belongs to the agent, which is not root. It also outlives that directory, and comes
 * along where only the client's folder is mounted. It is written before the file it is about.
 */
import { z } from 'zod'
import type { FileAttributes, HostFiles } from './host-files.ts'
import { parseMirror } from './mirror.ts'
import { refused } from './setup-error.ts'

const SUFFIX = '.shoal-undo'

const schema = z.strictObject({
  about: z.string(),
  version: z.literal(1),
  /** The text before; null when there was no file. */
  before: z.string().nullable(),
  /** The text that the set-up wrote. */
  after: z.string(),
  mirror: z.string(),
  attributes: z.strictObject({ mode: z.number(), uid: z.number(), gid: z.number() }).nullable(),
  /** Folders that were made for it. */
  dirs: z.array(z.string().startsWith('/')),
})

export interface UndoRecord {
  readonly before: string | undefined
  readonly after: string
  readonly mirror: string
  readonly attributes: FileAttributes | undefined
  readonly dirs: readonly string[]
}

export function bookOf(path: string): string {
  return path + SUFFIX
}

/** @throws ShoalError SETUP_REFUSED when what is there is no record */
export function readRecord(files: HostFiles, path: string): UndoRecord | undefined {
  const book = bookOf(path)
  const text = files.read(book)?.text
  if (text === undefined) return undefined
  try {
    const { before, after, mirror, attributes, dirs } = schema.parse(JSON.parse(text))
    parseMirror(mirror)
    return { before: before ?? undefined, after, mirror, attributes: attributes ?? undefined, dirs }
  } catch (cause) {
    throw refused(`${book} is damaged. Restore ${path} by hand, and remove it.`, cause)
  }
}

export function formatRecord(path: string, record: UndoRecord): string {
  const { before = null, after, mirror, attributes = null, dirs } = record
  const about = `for \`shoal setup … --undo\`: what ${path} was before`
  return `${JSON.stringify({ about, version: 1, before, after, mirror, attributes, dirs }, undefined, 2)}\n`
}
