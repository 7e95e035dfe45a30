import { removeDockerMirror, textBetween } from './docker-daemon-json.ts'
import type { HostFiles } from './host-files.ts'
import { parseMirror } from './mirror.ts'
import type { SetupFiles } from './setup-types.ts'
import { takeOutLines } from './take-out.ts'
import { readRecord, type UndoRecord } from './undo-book.ts'

/** The host's files without what an earlier set-up added, so that planning again starts where it started then. */
export class BaseFiles implements SetupFiles {
  readonly #files: HostFiles

  constructor(components: { files: HostFiles }) {
    this.#files = components.files
  }

  read(path: string): string | undefined {
    const now = this.readNow(path)
    const record = this.isSetUp(path) ? readRecord(this.#files, path) : undefined
    if (record === undefined || now === undefined) return now
    const base = baseOf(path, now, record)
    // what somebody has changed in our part stays as it is
    return base.kind === 'changed' ? now : base.text
  }

  isSetUp(path: string): boolean {
    const record = readRecord(this.#files, path)
    const now = this.readNow(path)
    return record !== undefined && now !== undefined && now !== record.before
  }

  readNow(path: string): string | undefined {
    return this.#files.read(path)?.text
  }

  names(dir: string): string[] {
    return this.#files.names(dir)
  }
}

export type Base =
  | { readonly kind: 'same' | 'edited'; readonly text: string | undefined }
  /** The part that the set-up added was changed itself. */
  | { readonly kind: 'changed' }

/** What a file would be without the set-up. `edited`: it was changed since, elsewhere than in our part. */
export function baseOf(path: string, now: string, record: UndoRecord): Base {
  const { before, after } = record
  // an undo that was cut off left docker's list empty
  const between = isJson(after) ? textBetween(path, after, before) : undefined
  if (now === after || now === before || now === between) return { kind: 'same', text: before }
  const text = isJson(after) ? removedJson(path, now, record) : takeOutLines(before ?? '', after, now)
  if (text === undefined) return { kind: 'changed' }
  const isEmpty = before === undefined && (text.trim() === '' || (isJson(after) && /^\s*\{\s*\}\s*$/.test(text)))
  return { kind: 'edited', text: isEmpty ? undefined : text }
}

function removedJson(path: string, now: string, { before, mirror }: UndoRecord): string {
  return removeDockerMirror(path, now, parseMirror(mirror), before)
}

/** TOML never begins so. */
function isJson(text: string): boolean {
  return /^\ufeff?\s*\{/.test(text)
}
