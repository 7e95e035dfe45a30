/**
 * TOML that is read with its places, and edited by whole lines, so that comments and order stay. Every edit is read
 * again and compared: what else the file says must be the same. Syntax: https://toml.io/en/v1.0.0
 */
import { isDeepStrictEqual } from 'node:util'
import { parseDocument, type TomlDocument } from '@decimalturn/toml-patch'
import { linesOf } from './lines.ts'
import { refused } from './setup-error.ts'

type Block = TomlDocument['cst'][number]
export type TomlTable = { readonly [key: string]: unknown }

export interface TomlFile {
  readonly path: string
  readonly text: string
  readonly value: TomlTable
  /** `[table]` and `[[table]]` headers, in their order. */
  readonly tables: readonly TableHeader[]
  readonly pairs: readonly KeyValue[]
}

export interface TableHeader {
  readonly key: readonly string[]
  /** 0 is the first. */
  readonly line: number
  /** Of the first line in it that holds a key. */
  readonly indent: string | undefined
}

/** Lines and columns from 0, in UTF-16 code units. */
interface Place {
  readonly line: number
  readonly from: number
  readonly lastLine: number
  readonly to: number
}

/** A `key = value` outside of inline tables. */
export interface KeyValue {
  /** With the key of its table. */
  readonly key: readonly string[]
  /** Of `key`, what stands in the header of its table. */
  readonly table: readonly string[]
  readonly place: Place
}

/** @throws ShoalError SETUP_REFUSED, which names the line and the column, and shows nothing of the file */
export function parseToml(path: string, text: string): TomlFile {
  try {
    const document = parseDocument(text)
    const blocks = document.cst
    const lines = linesOf(text)
    return {
      path,
      text,
      value: document.toJsObject as TomlTable,
      tables: blocks.filter(isTable).map((block) => headerOf(block, lines)),
      pairs: blocks.flatMap(pairsOf),
    }
  } catch (error) {
    const { line, column, message } = error as { line?: unknown; column?: unknown; message: string }
    if (typeof line !== 'number' || typeof column !== 'number') throw error
    const what = message.split('\n').at(-1) ?? ''
    throw refused(`${path} is not TOML: line ${line}, column ${column + 1}: ${what}. Nothing was changed.`)
  }
}

/** The value at `key`, undefined when something on the way is missing or no table. */
export function valueAt(value: unknown, key: readonly string[]): unknown {
  let found = value
  for (const part of key) {
    if (!isTomlTable(found) || !Object.hasOwn(found, part)) return undefined
    found = found[part]
  }
  return found
}

export function isTomlTable(value: unknown): value is TomlTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** The same without `key`, and without the tables on the way that are empty then. */
export function without(value: unknown, key: readonly string[]): unknown {
  const [first, ...rest] = key
  if (first === undefined || !isTomlTable(value) || !Object.hasOwn(value, first)) return value
  const { [first]: inner, ...others } = value
  if (rest.length === 0) return others
  const left = without(inner, rest)
  return isTomlTable(left) && Object.keys(left).length === 0 ? others : { ...others, [first]: left }
}

/**
 * What an edit of `before` gave, checked: it is TOML, `key` is there, and all else is as it was.
 * @throws ShoalError SETUP_REFUSED with `byHand`, what to write instead
 */
export function checkedEdit(before: TomlFile, text: string, key: readonly string[], byHand: string): string {
  const hint = `${before.path} can't be edited safely. Write by hand:\n${byHand}`
  let after: TomlFile
  try {
    after = parseToml(before.path, text)
  } catch (cause) {
    throw refused(hint, cause)
  }
  const same = isDeepStrictEqual(without(after.value, key), without(before.value, key))
  if (!same || valueAt(after.value, key) === undefined) throw refused(hint)
  return text
}

/** A basic string: https://toml.io/en/v1.0.0#string */
export function tomlString(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007F')
}

function isTable(block: Block): block is Extract<Block, { items: unknown }> {
  return 'items' in block
}

function headerOf(block: Extract<Block, { items: unknown }>, lines: readonly string[]): TableHeader {
  const first = block.items.find((item) => 'value' in item)
  const indent = first && /^[ \t]*/.exec(lines[first.loc.start.line - 1] ?? '')?.[0]
  return { key: block.key.item.value, line: block.loc.start.line - 1, indent }
}

function pairsOf(block: Block): KeyValue[] {
  const [table, items] = isTable(block) ? ([block.key.item.value, block.items] as const) : ([[], [block]] as const)
  return items.flatMap((item) => {
    if (!('value' in item)) return []
    const { start, end } = item.value.loc
    const place = { line: start.line - 1, from: start.column, lastLine: end.line - 1, to: end.column }
    return [{ key: [...table, ...item.key.value], table, place }]
  })
}
