/**
 * Writes a client's mirror setting, or takes it back. Owns nothing between two calls: what was there before is in the
 * books beside the files. Called by the command, as root, possibly at every start of the host: doing it twice is
 * the same as once.
 */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff'
import { BaseFiles, baseOf } from './base-files.ts'
import { CLIENTS, type ClientKind, isReadPerPull } from './client-kinds.ts'
import { applyChanges, type FileChange } from './file-changes.ts'
import type { HostFiles } from './host-files.ts'
import { parseMirror } from './mirror.ts'
import { refused } from './setup-error.ts'
import type { ClientName, Mirror, PlanInit, PlannedFile } from './setup-types.ts'
import { bookOf, readRecord, type UndoRecord } from './undo-book.ts'

export interface SetupStep {
  readonly changes: readonly FileChange[]
  /** The files of the setting, changed or not, with what will be in them; undefined: no such file. */
  readonly contents: ReadonlyMap<string, string | undefined>
  readonly notes: readonly string[]
  /** The mirror that the client asks from now on, or asks no more. */
  readonly mirror: Mirror | undefined
  /** What a running daemon has to read first. */
  readonly between: FileChange | undefined
}

export class ClientSetup {
  readonly #files: HostFiles
  readonly #base: BaseFiles
  readonly #kind: ClientKind

  constructor(components: { files: HostFiles }, init: { client: ClientName }) {
    this.#files = components.files
    this.#base = new BaseFiles(components)
    this.#kind = CLIENTS[init.client]
  }

  /** What setting the client up would change. @throws ShoalError SETUP_REFUSED, and then nothing is to be done */
  planSetup(init: PlanInit): SetupStep {
    const { files, notes } = this.#kind.plan(this.#base, init)
    const changes = files.map((file) => this.#changeOf(file, init)).filter((change) => change !== undefined)
    return {
      changes,
      notes,
      contents: new Map(files.map(({ path, after }) => [path, after])),
      mirror: init.mirror,
      between: undefined,
    }
  }

  /** What taking the setting back would change. @throws ShoalError SETUP_REFUSED, and then nothing is to be done */
  planUndo({ file }: { file: string | undefined }): SetupStep {
    const changes: FileChange[] = []
    const notes: string[] = []
    let mirror: Mirror | undefined
    for (const path of this.#kind.paths(this.#base, file)) {
      const record = readRecord(this.#files, path)
      if (record === undefined) continue
      const { change, note } = this.#undoOf(path, record)
      changes.push(change)
      mirror = parseMirror(record.mirror)
      if (note !== undefined) notes.push(note)
    }
    return {
      changes,
      notes,
      contents: new Map(changes.map(({ path, next }) => [path, next])),
      mirror,
      between: changes.map((change) => this.#between(change)).find((change) => change !== undefined),
    }
  }

  /** @throws ShoalError SETUP_REFUSED when a file can't be written, and then none is changed */
  apply(changes: readonly FileChange[]): void {
    applyChanges(this.#files, changes)
  }

  #changeOf({ path, before, after }: PlannedFile, { mirror }: PlanInit): FileChange | undefined {
    const found = this.#files.read(path)
    const now = found?.text
    if (after === now) return undefined
    const old = now === undefined ? undefined : readRecord(this.#files, path)
    if (old !== undefined && now !== undefined && baseOf(path, now, old).kind === 'changed') {
      throw refused(`${path} was edited where \`shoal setup\` had written. Take it back first, with --undo.`)
    }
    const attributes = found && { mode: found.mode, uid: found.uid, gid: found.gid }
    const kept = before === undefined ? undefined : (old?.attributes ?? attributes)
    const record = { before, after, mirror: mirror.url, attributes: kept, dirs: old?.dirs ?? [] }
    return { path, now, next: after, attributes, record, oldDirs: [] }
  }

  #between(change: FileChange): FileChange | undefined {
    const { path, now, next } = change
    if (isReadPerPull(path) || now === undefined || now === next) return undefined
    const text = this.#kind.between?.(path, now, next)
    const attributes = this.#files.read(path)
    return text === undefined
      ? undefined
      : { path, now, next: text, attributes, record: readRecord(this.#files, path), oldDirs: [] }
  }

  #undoOf(path: string, record: UndoRecord): { change: FileChange; note?: string } {
    const found = this.#files.read(path)
    const change = { path, record: undefined, oldDirs: record.dirs, attributes: found ?? record.attributes }
    if (found === undefined) {
      const note = record.before === undefined ? undefined : `${path} was removed since, and stays so.`
      return { change: { ...change, now: undefined, next: undefined }, ...(note !== undefined && { note }) }
    }
    const now = found.text
    const base = baseOf(path, now, record)
    if (base.kind === 'same') return { change: { ...change, now, next: base.text, attributes: record.attributes } }
    if (base.kind === 'edited') {
      const what = base.text === now ? 'it stays as it is' : "only Shoal's part is taken out"
      return { change: { ...change, now, next: base.text }, note: `${path} was edited since: ${what}.` }
    }
    const { address } = parseMirror(record.mirror)
    if (now.includes(address)) {
      throw refused(
        `${path} was edited where \`shoal setup\` had written. Take out ${address} by hand, then run this again. ` +
          `What was there before is in ${bookOf(path)}.`,
      )
    }
    return { change: { ...change, now, next: now }, note: `${path} was edited since: it stays as it is.` }
  }
}

/** A unified diff of what a change does to its file; empty when that stays as it is. */
export function diffOf({ path, now, next }: FileChange): string {
  if (now === next) return ''
  const names = [now === undefined ? '/dev/null' : path, next === undefined ? '/dev/null' : path] as const
  return createTwoFilesPatch(...names, now ?? '', next ?? '', undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  })
}
