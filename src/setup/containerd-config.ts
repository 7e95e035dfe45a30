/**
 * Where containerd's CRI plugin is told of folders with a hosts.toml per registry:
 * https://github.com/containerd/containerd/blob/main/docs/cri/registry.md
 */
import { appendBlock, insertLines, linesOf } from './lines.ts'
import { refused } from './setup-error.ts'
import { checkedEdit, isTomlTable, parseToml, type TomlFile, tomlString, valueAt } from './toml-file.ts'

const CRI_V1 = ['plugins', 'cri', 'registry']
const CRI_V2 = ['plugins', 'io.containerd.grpc.v1.cri', 'registry']
const IMAGES = ['plugins', 'io.containerd.cri.v1.images', 'registry']
/** By the version of the file; one without a version is of version 1. */
const REGISTRY_KEYS: Partial<Record<string, readonly string[]>> = { 1: CRI_V1, 2: CRI_V2, 3: IMAGES, 4: IMAGES }
const CRI_NAMES = new Set(['cri', 'io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images'])

export interface ContainerdConfig {
  readonly file: TomlFile
  /** Key of the table about registries. */
  readonly registryKey: readonly string[]
  /** As it is written, folders with colons between them; undefined or empty when there is none. */
  readonly configPath: string | undefined
  readonly criDisabled: boolean
  /** Paths or patterns of further files. */
  readonly imports: readonly string[]
}

/** @throws ShoalError SETUP_REFUSED */
export function readContainerdConfig(path: string, text: string): ContainerdConfig {
  const file = parseToml(path, text)
  const { version = Object.keys(file.value).length === 0 ? 2 : 1 } = file.value
  const registryKey = REGISTRY_KEYS[String(version)]
  if (registryKey === undefined) throw refused(`${path} is of version ${String(version)}, which is not known here.`)
  const registry = valueAt(file.value, registryKey) ?? {}
  if (!isTomlTable(registry)) throw refused(`${path}: ${registryKey.join('.')} is no table.`)
  const { config_path: configPath } = registry
  if (configPath !== undefined && typeof configPath !== 'string') throw refused(`${path}: config_path is no text.`)
  return {
    file,
    registryKey,
    configPath,
    criDisabled: textsOf(file.value['disabled_plugins']).some((name) => CRI_NAMES.has(name)),
    imports: textsOf(file.value['imports']),
  }
}

/** @throws ShoalError SETUP_REFUSED for settings with which containerd refuses a config_path */
export function checkTakesConfigPath({ file, registryKey }: ContainerdConfig): void {
  const tables = { mirrors: isFilled, configs: hasTls }
  for (const [name, excludes] of Object.entries(tables)) {
    if (!excludes(valueAt(file.value, [...registryKey, name]))) continue
    throw refused(
      `${file.path} has registry.${name}, and with that containerd takes no config_path. Move it to ` +
        'certs.d/HOST/hosts.toml by hand first: https://github.com/containerd/containerd/blob/main/docs/hosts.md',
    )
  }
}

/** With `config_path`, which must be missing or empty in it. @throws ShoalError SETUP_REFUSED */
export function setConfigPath({ file, registryKey }: ContainerdConfig, dir: string): string {
  const key = [...registryKey, 'config_path']
  const line = `config_path = ${tomlString(dir)}\n`
  const block = `${headerOf(registryKey)}\n  ${line}`
  const checked = (text: string): string => checkedEdit(file, text, key, block)
  const empty = file.pairs.find((pair) => isSame(pair.key, key))
  if (empty !== undefined) {
    const lines = linesOf(file.text)
    const { line: index, from, lastLine, to } = empty.place
    const old = lines[index] ?? ''
    if (index !== lastLine) throw refused(`${file.path} has an empty config_path over two lines. Write:\n${block}`)
    lines[index] = old.slice(0, from) + tomlString(dir) + old.slice(to)
    return checked(lines.join(''))
  }
  const table = file.tables.find((one) => isSame(one.key, registryKey))
  if (table !== undefined) {
    const own = /^[ \t]*/.exec(linesOf(file.text)[table.line] ?? '')?.[0] ?? ''
    return checked(insertLines(file.text, table.line + 1, `${table.indent ?? `${own}  `}${line}`))
  }
  if (Object.keys(file.value).length > 0) return checked(appendBlock(file.text, block))
  // a file without settings has no version either, and without one it would be read as of version 1
  return appendBlock(file.text, `version = 2\n\n${block}`)
}

function headerOf(key: readonly string[]): string {
  return `[${key.map((part) => (/^[\w-]+$/.test(part) ? part : tomlString(part))).join('.')}]`
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((part, index) => part === b[index])
}

function isFilled(value: unknown): boolean {
  return isTomlTable(value) && Object.keys(value).length > 0
}

/** containerd 1.x refuses these beside config_path; credentials in `configs` may stay. */
function hasTls(configs: unknown): boolean {
  return isTomlTable(configs) && Object.values(configs).some((one) => isFilled(valueAt(one, ['tls'])))
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}
