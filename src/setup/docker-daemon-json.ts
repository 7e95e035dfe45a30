/** docker's daemon.json, strict JSON: https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file */
import { isDeepStrictEqual } from 'node:util'
import { applyEdits, type FormattingOptions, modify, type ParseError, parse, printParseErrorCode } from 'jsonc-parser'
import { lineEnd, linesOf } from './lines.ts'
import { isMirror } from './mirror.ts'
import { refused } from './setup-error.ts'
import type { Mirror } from './setup-types.ts'

const KEY = 'registry-mirrors'
const BOM = '\ufeff'

type Settings = { readonly [key: string]: unknown }

/** With the mirror before all others. @throws ShoalError SETUP_REFUSED */
export function addDockerMirror(path: string, text: string | undefined, mirror: Mirror): string {
  if (text === undefined || text.trim() === '') return `{\n  "${KEY}": [\n    ${JSON.stringify(mirror.url)}\n  ]\n}\n`
  const old = mirrorsOf(path, text)
  const [first] = old ?? []
  if (first !== undefined && isMirror(mirror, first)) return text
  const list = [mirror.url, ...others(old ?? [], mirror)]
  if (old === undefined || list.length <= old.length) return withMirrors(path, text, list)
  return checked(path, text, list, edit(text, [KEY, 0], mirror.url, true))
}

/**
 * `text` without the mirror, for a file that was changed since the mirror was added to `before`.
 * @throws ShoalError SETUP_REFUSED
 */
export function removeDockerMirror(path: string, text: string, mirror: Mirror, before: string | undefined): string {
  const now = mirrorsOf(path, text)
  const old = before === undefined ? undefined : mirrorsOf(path, before)
  if (now === undefined || old?.some((url) => isMirror(mirror, url))) return text
  const list = others(now, mirror)
  if (list.length === 0 && old === undefined) return withMirrors(path, text, undefined)
  return list.length === now.length ? text : withMirrors(path, text, list)
}

/**
 * When docker reads its file again, a list that is gone stays in use, and an empty one does not: the text to read before
 * `next` replaces `now`. Undefined when none is needed.
 * Source: `reloadRegistryConfig` of https://github.com/moby/moby/blob/master/daemon/reload.go
 */
export function textBetween(path: string, now: string, next: string | undefined): string | undefined {
  const isGone = next === undefined || mirrorsOf(path, next) === undefined
  return isGone && (mirrorsOf(path, now)?.length ?? 0) > 0 ? withMirrors(path, now, []) : undefined
}

export function dockerSettings(path: string, text: string): Settings {
  const json = text.startsWith(BOM) ? text.slice(1) : text
  if (json.trim() === '') return {}
  const errors: ParseError[] = []
  const value: unknown = parse(json, errors, { disallowComments: true, allowTrailingComma: false })
  const [error] = errors
  if (error !== undefined) {
    const above = linesOf(json.slice(0, error.offset))
    const last = above.at(-1) ?? ''
    const [line, column] = last.endsWith('\n') ? [above.length + 1, 1] : [Math.max(1, above.length), last.length + 1]
    const what = printParseErrorCode(error.error)
    throw refused(`${path} is not JSON: line ${line}, column ${column}: ${what}. Nothing was changed.`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refused(`${path} does not hold an object. Nothing was changed.`)
  }
  return value as Settings
}

function mirrorsOf(path: string, text: string): string[] | undefined {
  const mirrors = dockerSettings(path, text)[KEY]
  if (mirrors === undefined) return undefined
  if (Array.isArray(mirrors) && mirrors.every((one) => typeof one === 'string')) return mirrors
  throw refused(`${path}: ${KEY} is not a list of texts. Nothing was changed.`)
}

function others(mirrors: readonly string[], mirror: Mirror): string[] {
  return mirrors.filter((url) => !isMirror(mirror, url))
}

function withMirrors(path: string, text: string, mirrors: readonly string[] | undefined): string {
  return checked(path, text, mirrors, edit(text, [KEY], mirrors))
}

/** What an edit of `before` gave: the list is as wanted, and all else is as it was. */
function checked(path: string, before: string, mirrors: readonly string[] | undefined, after: string): string {
  const { [KEY]: _, ...rest } = dockerSettings(path, before)
  if (isDeepStrictEqual(dockerSettings(path, after), { ...rest, ...(mirrors && { [KEY]: mirrors }) })) return after
  throw refused(`${path} can't be edited safely. Write by hand: "${KEY}": ${JSON.stringify(mirrors ?? [])}`)
}

function edit(text: string, key: (string | number)[], value: unknown, insert = false): string {
  const bom = text.startsWith(BOM) ? BOM : ''
  const json = text.slice(bom.length)
  const edits = modify(json, key, value, { formattingOptions: formattingOf(json), isArrayInsertion: insert })
  return bom + applyEdits(json, edits)
}

/** As the first indented line has it. */
function formattingOf(text: string): FormattingOptions {
  const indent = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  '
  return { insertSpaces: !indent.startsWith('\t'), tabSize: indent.length, eol: lineEnd(text) }
}
