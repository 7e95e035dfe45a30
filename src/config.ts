/**
 * The configuration: its schema with all defaults, and where values come from (file < environment < flags, DESIGN.md
 * §13). Human values ("50GiB", "5m") become bytes and milliseconds here (`config-values`) and nowhere else.
 */
import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { swarmSection } from './config-swarm.ts'
import { address, bytes, bytesPerSecond, hostName, milliseconds, registry } from './config-values.ts'
import { ShoalError } from './errors.ts'
import { closest } from './util/closest.ts'

const registrySettings = z.strictObject({
  plainHttp: z.boolean().default(false),
  /** A PEM file with further authorities to trust. */
  ca: z.string().optional(),
  /** Base URLs that are asked before the registry itself. */
  mirrors: z.array(z.url({ protocol: /^https?$/ })).default([]),
})

const schema = z.strictObject({
  facade: z
    .strictObject({
      listen: address.prefault('127.0.0.1:5050'),
      /** A request that has no first byte by then is answered with an error, so that the client goes elsewhere. */
      firstByte: milliseconds.prefault('60s'),
      /** A client that takes no byte for so long is cut off. */
      idleClient: milliseconds.prefault('5m'),
      /** How long running bodies may go on when the agent stops. */
      drain: milliseconds.prefault('30s'),
    })
    .prefault({}),
  admin: z
    .strictObject({
      listen: address.prefault('127.0.0.1:5053'),
      /** Names under which it may be asked beside `localhost` and its addresses; `*.example` for all under one. */
      hosts: z.array(hostName).default([]),
    })
    .prefault({}),
  store: z
    .strictObject({
      dir: z.string().min(1).default('/var/lib/shoal'),
      quota: bytes.prefault('50GiB'),
      sources: z.array(z.string().min(1)).default([]),
    })
    .prefault({}),
  origin: z
    .strictObject({
      default: registry.prefault('docker.io'),
      allow: z.array(z.string().min(1)).default(['*']),
      rate: bytesPerSecond.prefault('unlimited'),
      /** Connections to one registry host. */
      connections: z.number().int().min(1).max(1024).default(64),
      connect: milliseconds.prefault('5s'),
      firstByte: milliseconds.prefault('30s'),
      stall: milliseconds.prefault('30s'),
      /** How long an answer "may pull" holds without asking again. */
      rememberAccess: milliseconds.prefault('5m'),
      /** How long the last digest of a tag, and the last "may pull", stand in when the registry cannot be asked. */
      serveStale: milliseconds.prefault('7d'),
      /** How long a registry is waited for when an earlier answer could stand in. */
      patience: milliseconds.prefault('10s'),
      /** docker's config.json with credentials; the default is where docker looks. */
      dockerConfig: z.string().optional(),
      registries: z.record(registry, registrySettings).default({}),
    })
    .prefault({}),
  swarm: swarmSection,
  log: z
    .strictObject({
      level: z.enum(['error', 'warn', 'info', 'debug']).default('info'),
      format: z.enum(['json', 'text']).default('json'),
      /** So many warnings or errors that say the same are written each minute, the rest is counted; 0: all of them. */
      sample: z.number().int().min(0).max(100_000).default(10),
      /** A file that gets a JSON line for each chunk; undefined: none. */
      transfers: z.string().min(1).optional(),
    })
    .prefault({}),
})

export type Config = z.output<typeof schema>

export interface ConfigSources {
  /** Path of a YAML file; undefined: /etc/shoal/shoal.yaml if it exists. */
  readonly file: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `key=value`, as given with --set. */
  readonly flags: readonly string[]
}

const DEFAULT_FILE = '/etc/shoal/shoal.yaml'
const PREFIX = 'SHOAL_'

/** @throws ShoalError CONFIG_INVALID, which names the key and where it came from */
export function loadConfig(sources: ConfigSources): Config {
  const tree: Tree = {}
  merge(tree, readFile(sources.file))
  for (const [name, value] of Object.entries(sources.environment)) {
    // One underscore is what container platforms inject for a service of this name; ours have two.
    if (value === undefined || !name.startsWith(PREFIX) || !name.includes('__')) continue
    const path = name.slice(PREFIX.length).split('__').map(camel)
    assign(tree, path, value, `environment ${name}`)
  }
  for (const flag of sources.flags) {
    const { path, value } = parseFlag(flag)
    assign(tree, path, value, `--set ${path.join('.')}`)
  }
  return parseConfig(tree)
}

/** @throws ShoalError CONFIG_INVALID */
export function parseConfig(tree: unknown): Config {
  const result = schema.safeParse(tree)
  if (result.success) return result.data
  throw invalid(result.error.issues.map(describeIssue).join('; '))
}

type Tree = { [key: string]: unknown }

function readFile(file: string | undefined): Tree {
  let text: string
  try {
    text = readFileSync(file ?? DEFAULT_FILE, 'utf8')
  } catch (error) {
    if (file === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw invalid(`cannot read the file ${file ?? DEFAULT_FILE}`, error)
  }
  try {
    const parsed: unknown = parseYaml(text)
    if (parsed === null || parsed === undefined) return {}
    if (isTree(parsed)) return parsed
  } catch (error) {
    // the lines below the first show what stands in the file, which may be a secret
    const [problem = ''] = (error as Error).message.split(/:?\n/, 1)
    throw invalid(`${file ?? DEFAULT_FILE} is not YAML: ${problem}`)
  }
  throw invalid(`${file ?? DEFAULT_FILE} does not hold keys and values`)
}

function parseFlag(flag: string): { path: string[]; value: string } {
  const [, key, value] = /^((?:"[^"]*"|[^="])+)=(.*)$/s.exec(flag) ?? []
  if (key === undefined || value === undefined) throw invalid(`--set ${flag}: expected key=value`)
  // A part in quotes may hold dots: origin.registries."registry.example:5000".plainHttp
  const path = [...key.matchAll(/"([^"]*)"|([^."]+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
  return { path, value }
}

function assign(tree: Tree, path: readonly string[], text: string, from: string): void {
  const last = path.at(-1)
  if (last === undefined) throw invalid(`${from}: no key`)
  let node = tree
  for (const part of path.slice(0, -1)) {
    const next = Object.hasOwn(node, part) ? node[part] : {}
    if (!isTree(next)) throw invalid(`${from}: ${part} is not a section`)
    node[part] = next
    node = next
  }
  node[last] = isText(path) ? text : parseValue(text)
}

function parseValue(text: string): unknown {
  try {
    return parseYaml(text) ?? ''
  } catch {
    return text
  }
}

/** Whether the key takes a text as it is: a secret of digits is no number. */
function isText(path: readonly string[]): boolean {
  return schemaAt(path) instanceof z.ZodString || path.join('.') === 'swarm.secret'
}

function merge(target: Tree, source: Tree): void {
  for (const [key, value] of Object.entries(source)) target[key] = value ?? {}
}

function camel(part: string): string {
  return part.toLowerCase().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String)
  const [cause] = issue.code === 'invalid_key' ? issue.issues : []
  if (cause !== undefined) return `${path.join('.')}: ${cause.message}`
  if (issue.code !== 'unrecognized_keys') return `${path.join('.') || 'the configuration'}: ${issue.message}`
  return issue.keys
    .map((key) => {
      const nearest = closest(key, knownKeys(path))
      const hint = nearest === undefined ? '' : ` (did you mean ${[...path, nearest].join('.')}?)`
      return `unknown key ${[...path, key].join('.')}${hint}`
    })
    .join('; ')
}

/** The keys of the section at `path`. */
function knownKeys(path: readonly string[]): string[] {
  if (path[0] === 'origin' && path[1] === 'registries') return Object.keys(registrySettings.shape)
  const section = schemaAt(path)
  return section instanceof z.ZodObject ? Object.keys(section.shape) : []
}

function schemaAt(path: readonly string[]): unknown {
  let found: unknown = schema
  for (const part of path) {
    if (!(found instanceof z.ZodObject) || !Object.hasOwn(found.shape, part)) return undefined
    found = found.shape[part]
    while (found instanceof z.ZodPrefault || found instanceof z.ZodDefault || found instanceof z.ZodOptional)
      found = found.def.innerType
  }
  return found
}

function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('CONFIG_INVALID', `configuration: ${message}`, { cause })
}
