import { z } from 'zod'
import { DOCKER_HUB } from '../oci/reference.ts'

/** What may be shown to a registry. A secret: never log it. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** OAuth2 refresh token. */
  | { readonly kind: 'identity-token'; readonly username: string; readonly token: string }
  /** Bearer token that is sent as it is. */
  | { readonly kind: 'registry-token'; readonly token: string }

const HUB_KEY = 'https://index.docker.io/v1/'
const HUB_HOSTS = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])
const HELPER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

const Entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
})
const HelperName = z.string().regex(HELPER_NAME).or(z.literal(''))
const Schema = z.object({
  auths: z.record(z.string(), Entry.nullable()).nullish(),
  credHelpers: z.record(z.string(), HelperName).nullish(),
  credsStore: HelperName.nullish(),
})

/**
 * Docker's config.json, as far as it is about credentials. Rules:
 * https://docs.docker.com/reference/cli/docker/login/#credential-stores
 */
export class DockerConfig {
  readonly #auths = new Map<string, Credential>()
  readonly #helpers = new Map<string, string>()
  readonly #store: string | undefined

  private constructor(config: z.infer<typeof Schema>) {
    for (const [key, entry] of Object.entries(config.auths ?? {})) {
      const credential = entry === null ? undefined : toCredential(entry)
      if (credential === undefined) continue
      // A key that is the bare host wins over one that had to be normalised.
      const host = hostOfKey(key)
      if (!this.#auths.has(host) || key === host || key === HUB_KEY) this.#auths.set(host, credential)
    }
    for (const [key, name] of Object.entries(config.credHelpers ?? {})) {
      if (name !== '') this.#helpers.set(hostOfKey(key), name)
    }
    this.#store = config.credsStore || undefined
  }

  static readonly empty = new DockerConfig({})

  /** @throws an error without secrets when this is no config.json */
  static parse(text: string): DockerConfig {
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      // The message of JSON.parse quotes the text.
      throw new Error('not JSON')
    }
    const parsed = Schema.safeParse(json)
    if (!parsed.success) {
      throw new Error(`unexpected content at ${parsed.error.issues.map((issue) => issue.path[0]).join(', ')}`)
    }
    return new DockerConfig(parsed.data)
  }

  /** What stands in the file itself. @param registry host[:port] */
  credential(registry: string): Credential | undefined {
    return this.#auths.get(registry)
  }

  /** The helper to ask, and the name under which it knows the registry. */
  helper(registry: string): { readonly name: string; readonly server: string } | undefined {
    const name = this.#helpers.get(registry) ?? this.#store
    return name === undefined ? undefined : { name, server: registry === DOCKER_HUB ? HUB_KEY : registry }
  }
}

function hostOfKey(key: string): string {
  const host = key
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/, '')
    .toLowerCase()
  return HUB_HOSTS.has(host) ? DOCKER_HUB : host
}

function toCredential(entry: z.infer<typeof Entry>): Credential | undefined {
  const plain = Buffer.from(entry.auth ?? '', 'base64').toString()
  const colon = plain.indexOf(':')
  const username = colon > 0 ? plain.slice(0, colon) : (entry.username ?? '')
  // Old versions of docker padded the password with NUL.
  const password = colon > 0 ? plain.slice(colon + 1).replace(/\0+$/, '') : (entry.password ?? '')
  if (entry.registrytoken) return { kind: 'registry-token', token: entry.registrytoken }
  if (entry.identitytoken) return { kind: 'identity-token', username, token: entry.identitytoken }
  return username === '' ? undefined : { kind: 'password', username, password }
}
