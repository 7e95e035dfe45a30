import { z } from 'zod'
import { configSchema } from '../../src/config.ts'
import { takenOver } from '../../src/config-reload.ts'
import {
  address,
  agentAddress,
  bytes,
  bytesPerSecond,
  hostName,
  milliseconds,
  numericAddress,
  peerId,
  registry,
} from '../../src/config-values.ts'

const HEAD = `# Configuration

<!-- Written by scripts/config-reference.ts from the schema in src/config.ts; a test compares the two. -->

\`/etc/shoal/shoal.yaml\`, or \`--config FILE\`. Every key is optional. A key that doesn't exist is an error that names the nearest one
(\`shoal agent\` says it and ends with 1).

The environment overrides the file, and \`--set\` overrides both: \`store.quota\` is \`SHOAL_STORE__QUOTA=20GiB\` in the environment (two underscores between
sections, one between words: \`SHOAL_SWARM__SECRET_FILE\`) and \`--set store.quota=20GiB\` on the command line. A part with dots goes in quotes:
\`--set 'origin.registries."registry.example:5000".plainHttp=true'\`. Lists are YAML (\`[a, b]\`); those of \`swarm\` may be given as \`a,b\` too. Proxies come from
\`HTTPS_PROXY\`, \`HTTP_PROXY\` and \`NO_PROXY\`.

An agent that gets SIGHUP (\`systemctl reload shoal\`) reads it again. Keys marked *live* are taken over at once, the others are named in the log and wait for a
restart; a configuration with an error changes nothing. One secret is exchanged for another at once, but the first one waits for a restart, and so does none where
there was one: whether there is a swarm is decided at the start. In the log \`"secret"\` is \`changed\`, \`same\`, \`none\`, or \`needs restart\`.

Sizes are \`512MiB\` or \`50GiB\` (1024) or \`20GB\` (1000), durations \`500ms\`, \`30s\`, \`5m\`, \`1.5h\` or \`7d\`; an address is \`host:port\` or \`[ipv6]:port\`, and
port 0 takes a free one, which the agent then reports.
`

/** What values look like, of the schemas that are ours. */
const NAMES = new Map<unknown, string>([
  [address, 'address'],
  [numericAddress, 'address'],
  [agentAddress, 'agent'],
  [bytes, 'size'],
  [bytesPerSecond, '`unlimited` or size'],
  [hostName, 'host name'],
  [milliseconds, 'duration'],
  [peerId, 'agent’s id'],
  [registry, 'registry'],
])

const RELOAD = { always: 'live', another: 'live, not the first', never: '' }

export interface ConfigKey {
  readonly name: string
  readonly type: string
  /** As it would stand in the file; undefined: none. */
  readonly fallback: string | undefined
  readonly reload: ReturnType<typeof takenOver>
  readonly meaning: string
}

/** @throws Error for a key without a meaning, or of a type that has no name here */
export function configKeys(): ConfigKey[] {
  return sectionKeys(configSchema, '')
}

/** The configuration as a page in Markdown. */
export function configDocument(): string {
  const sections = Map.groupBy(configKeys(), ({ name }) => name.slice(0, name.indexOf('.')))
  const pages = [...sections].map(([section, keys]) => `\n## ${section}\n\n${table(keys)}`)
  return `${HEAD}${pages.join('')}`
}

function table(keys: readonly ConfigKey[]): string {
  const rows = keys.map(({ name, type, fallback, reload, meaning }) =>
    [`\`${name}\``, type, fallback === undefined ? '' : `\`${fallback}\``, RELOAD[reload], meaning].join(' | '),
  )
  return ['key | type | default | reload | meaning', '--- | --- | --- | --- | ---', ...rows]
    .map((row) => `| ${row} |\n`)
    .join('')
}

function sectionKeys(section: z.ZodObject, prefix: string): ConfigKey[] {
  return Object.entries(section.shape).flatMap(([key, schema]) => {
    const name = `${prefix}${key}`
    const { inner, fallback } = unwrap(schema)
    if (inner instanceof z.ZodObject) return sectionKeys(inner, `${name}.`)
    const { description } = schema as z.ZodType
    if (description === undefined) throw new Error(`${name} has no meaning: give it .describe()`)
    const own: ConfigKey = {
      name,
      type: typeOf(inner, name),
      fallback: fallback === undefined ? undefined : textOf(fallback),
      reload: takenOver(name.split('.').slice(0, 2).join('.')),
      meaning: description,
    }
    const { valueType } = inner instanceof z.ZodRecord ? inner.def : {}
    return [own].concat(valueType instanceof z.ZodObject ? sectionKeys(valueType, `${name}.HOST.`) : [])
  })
}

function unwrap(schema: unknown): { inner: unknown; fallback: unknown } {
  let inner = schema
  let fallback: unknown
  while (inner instanceof z.ZodPrefault || inner instanceof z.ZodDefault || inner instanceof z.ZodOptional) {
    if (!(inner instanceof z.ZodOptional)) fallback = inner.def.defaultValue
    inner = inner.def.innerType
  }
  return { inner, fallback }
}

function typeOf(schema: unknown, name: string): string {
  const named = NAMES.get(schema)
  if (named !== undefined) return named
  // a list that may be a text with commas
  if (schema instanceof z.ZodPipe && schema.def.out instanceof z.ZodArray) return typeOf(schema.def.out, name)
  if (schema instanceof z.ZodArray) return `list of ${typeOf(schema.element, name)}`
  if (schema instanceof z.ZodRecord) return 'settings by registry'
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => `\`${option}\``).join(', ')
  if (schema instanceof z.ZodBoolean) return '`true`, `false`'
  if (schema instanceof z.ZodURL) return 'URL'
  if (schema instanceof z.ZodNumber) return 'number'
  // a secret is a text until it is read
  if (schema instanceof z.ZodString || schema instanceof z.ZodPipe) return 'text'
  throw new Error(`${name}: a type that has no name in scripts/config/config-document.ts`)
}

function textOf(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value)
}
