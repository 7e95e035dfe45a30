/**
 * The configuration: its schema with all defaults, and where values come from (file < environment < flags, DESIGN.md
 * §13). Human values ("50GiB", "5m") become bytes and milliseconds here (`config-values`) and nowhere else.
 */
import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { type Given, isTree, type Path, sourceOf, type Tree } from './config-sources.ts'
import { swarmSection } from './config-swarm.ts'
import { address, bytes, bytesPerSecond, hostName, milliseconds, registry } from './config-values.ts'
import { ShoalError } from './errors.ts'
import { closest } from './util/closest.ts'

const registrySettings = z.strictObject({
  plainHttp: z.boolean().default(false).describe('Over http instead of https.'),
  ca: z.string().optional().describe('A PEM file with further authorities to trust.'),
  mirrors: z
    .array(z.url({ protocol: /^https?$/ }))
    .default([])
    .describe('Base URLs that are asked before the registry itself.'),
})

export const configSchema = z.strictObject({
  facade: z
    .strictObject({
      listen: address
        .prefault('127.0.0.1:5050')
        .describe('Where clients of this host ask. For 127.0.0.1 it listens on ::1 too.'),
      hosts: z
        .array(hostName)
        .default([])
        .describe(
          'Names under which clients of this host ask beside `localhost`, `host.docker.internal`, `host.containers.internal`, the name of the host as `hostname` prints it, and addresses; `*.example` for all under one.',
        ),
      firstByte: milliseconds
        .prefault('60s')
        .describe(
          'A request that has no first byte by then is answered with an error, so that the client goes elsewhere.',
        ),
      idleClient: milliseconds.prefault('5m').describe('A client that takes no byte for so long is cut off.'),
      drain: milliseconds.prefault('30s').describe('How long running downloads may go on when the agent stops.'),
    })
    .prefault({}),
  admin: z
    .strictObject({
      listen: address
        .prefault('127.0.0.1:5053')
        .describe('The page, the API of the commands, /metrics, /healthz and /readyz.'),
      hosts: z
        .array(hostName)
        .default([])
        .describe(
          'Names under which it may be asked beside `localhost` and its addresses; `*.example` for all under one.',
        ),
    })
    .prefault({}),
  store: z
    .strictObject({
      dir: z
        .string()
        .min(1)
        .default('/var/lib/shoal')
        .describe('Everything the agent keeps; one directory belongs to one agent.'),
      quota: bytes.prefault('50GiB').describe("Of Shoal's own bytes; what was not used for longest goes first."),
      sources: z
        .array(z.string().min(1))
        .default([])
        .describe("Directories with blobs/sha256/…, read only: an OCI layout, containerd's content store."),
    })
    .prefault({}),
  origin: z
    .strictObject({
      default: registry.prefault('docker.io').describe('For requests that name no registry.'),
      allow: z
        .array(z.string().min(1))
        .default(['*'])
        .describe('Registries that clients may reach: host, host:port or `*.example`.'),
      rate: bytesPerSecond.prefault('unlimited').describe('From all registries together, each second.'),
      connections: z.number().int().min(1).max(1024).default(64).describe('To one registry host, 1 to 1024.'),
      connect: milliseconds.prefault('5s').describe('How long a connection to a registry may take.'),
      firstByte: milliseconds.prefault('30s').describe('How long a registry may take to answer.'),
      stall: milliseconds.prefault('30s').describe('How long a registry may send nothing in the middle of a body.'),
      rememberAccess: milliseconds.prefault('5m').describe('How long an answer “may pull” holds without asking again.'),
      serveStale: milliseconds
        .prefault('7d')
        .describe(
          "How long the last digest of a tag, and the last “may pull”, stand in when the registry can't be asked.",
        ),
      patience: milliseconds
        .prefault('10s')
        .describe('How long a registry is waited for when an earlier answer could stand in.'),
      dockerConfig: z
        .string()
        .optional()
        .describe("docker's config.json with credentials; without it, where docker looks."),
      registries: z
        .record(registry, registrySettings)
        .default({})
        .describe('Settings by registry, host or host:port. One that is named here is trusted about what it has.'),
    })
    .prefault({}),
  swarm: swarmSection,
  log: z
    .strictObject({
      level: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('The least that is written.'),
      format: z.enum(['json', 'text']).default('json').describe('json for programs, text for people.'),
      sample: z
        .number()
        .int()
        .min(0)
        .max(100_000)
        .default(10)
        .describe(
          'So many warnings or errors that say the same are written each minute, the rest is counted; 0: all of them.',
        ),
      transfers: z.string().min(1).optional().describe('A file that gets a JSON line for each chunk.'),
    })
    .prefault({}),
})

export type Config = z.output<typeof configSchema>

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
  const file = readFile(sources.file)
  const tree: Tree = {}
  merge(tree, structuredClone(file))
  const given: Given[] = []
  for (const [name, value] of Object.entries(sources.environment)) {
    // One underscore is what container platforms inject for a service of this name; ours have two.
    if (value === undefined || !name.startsWith(PREFIX) || !name.includes('__')) continue
    const path = name.slice(PREFIX.length).split('__').map(camel)
    const from = `environment ${name}`
    assign(tree, path, value, from)
    given.push({ path, from })
  }
  for (const flag of sources.flags) {
    const { path, value } = parseFlag(flag)
    const from = `--set ${path.join('.')}`
    assign(tree, path, value, from)
    given.push({ path, from })
  }
  return parseConfig(tree, (path) => sourceOf(path, { file, name: sources.file ?? DEFAULT_FILE, given }))
}

/**
 * @param from where what stands at a path came from, if that is known
 * @throws ShoalError CONFIG_INVALID
 */
export function parseConfig(tree: unknown, from: (path: Path) => string | undefined = () => undefined): Config {
  const result = configSchema.safeParse(tree)
  if (result.success) return result.data
  const problems = result.error.issues.flatMap(describeIssue).map(({ path, text }) => {
    const source = from(path)
    // a flag is named by its key
    const key = path.join('.')
    if (source === `--set ${key}` && text.startsWith(`${key}: `)) return `--set ${text}`
    return source === undefined ? text : `${source}: ${text}`
  })
  throw invalid(problems.join('; '))
}

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

function describeIssue(issue: z.core.$ZodIssue): { readonly path: Path; readonly text: string }[] {
  const path = issue.path.map(String)
  const [cause] = issue.code === 'invalid_key' ? issue.issues : []
  if (cause !== undefined) return [{ path, text: `${path.join('.')}: ${cause.message}` }]
  if (issue.code !== 'unrecognized_keys') {
    return [{ path, text: `${path.join('.') || 'the configuration'}: ${issue.message}` }]
  }
  return issue.keys.map((key) => {
    const nearest = closest(key, knownKeys(path))
    const hint = nearest === undefined ? '' : ` (did you mean ${[...path, nearest].join('.')}?)`
    return { path: [...path, key], text: `unknown key ${[...path, key].join('.')}${hint}` }
  })
}

/** The keys of the section at `path`. */
function knownKeys(path: readonly string[]): string[] {
  if (path[0] === 'origin' && path[1] === 'registries') return Object.keys(registrySettings.shape)
  const section = schemaAt(path)
  return section instanceof z.ZodObject ? Object.keys(section.shape) : []
}

function schemaAt(path: readonly string[]): unknown {
  let found: unknown = configSchema
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
