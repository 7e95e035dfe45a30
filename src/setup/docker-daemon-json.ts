/** docker's daemon.json, strict JSON: https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file */
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
  const mirrors = mirrorsOf(path, text)
  if (mirrors === undefined) return edit(text, [KEY], [mirror.url])
  const first = mirrors[0]
  if (first !== undefined && isMirror(mirror, first)) return text
  return edit(withoutMirror(text, mirrors, mirror), [KEY, 0], mirror.url, true)
}

/**
 * `text` without the mirror, for a file that was changed since the mirror was added to `before`.
 * @throws ShoalError SETUP_REFUSED
 */
export function removeDockerMirror(path: string, text: string, mirror: Mirror, before: string | undefined): string {
  const mirrors = mirrorsOf(path, text)
  const old = before === undefined ? undefined : mirrorsOf(path, before)
  if (mirrors === undefined || old?.some((url) => isMirror(mirror, url))) return text
  const left = withoutMirror(text, mirrors, mirror)
  return old === undefined && mirrorsOf(path, left)?.length === 0 ? edit(left, [KEY], undefined) : left
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

function withoutMirror(text: string, mirrors: readonly string[], mirror: Mirror): string {
  let left = text
  for (let index = mirrors.length - 1; index >= 0; index--) {
    if (isMirror(mirror, mirrors[index] ?? '')) left = edit(left, [KEY, index], undefined)
  }
  return left
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
