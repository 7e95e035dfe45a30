import { ShoalError } from '../errors.ts'
import { type Digest, parseDigest } from './digest.ts'

/**
 * A repository of one registry. `registry` is `host` or `host:port` as it stands in an image's name (`docker.io` for
 * Docker Hub), `name` the path in it (`library/busybox`).
 */
export interface Repository {
  readonly registry: string
  readonly name: string
}

export type TagOrDigest = { readonly tag: string } | { readonly digest: Digest }

// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests: <name> and <reference>
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const HOST = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/
const MAX_NAME_LENGTH = 255

export const DOCKER_HUB = 'docker.io'
const DOCKER_HUB_NAMES = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** @throws ShoalError NAME_INVALID */
export function parseName(text: string): string {
  if (text.length > MAX_NAME_LENGTH || !NAME.test(text)) {
    throw new ShoalError('NAME_INVALID', 'not a repository name', { detail: { name: text.slice(0, MAX_NAME_LENGTH) } })
  }
  return text
}

/** @throws ShoalError TAG_INVALID or DIGEST_INVALID */
export function parseTagOrDigest(text: string): TagOrDigest {
  if (text.includes(':')) return { digest: parseDigest(text) }
  if (!TAG.test(text)) throw new ShoalError('TAG_INVALID', 'not a tag', { detail: { tag: text.slice(0, 140) } })
  return { tag: text }
}

/**
 * `host[:port]` in the one form that is used as a key: lower case, Docker Hub's other names folded into `docker.io`.
 * @throws ShoalError NAME_INVALID
 */
export function parseRegistry(text: string): string {
  const port = Number(/:(\d+)$/.exec(text)?.[1] ?? 1)
  if (text.length > MAX_NAME_LENGTH || !HOST.test(text) || port < 1 || port > 65_535) {
    throw new ShoalError('NAME_INVALID', 'not a registry host', {
      detail: { registry: text.slice(0, MAX_NAME_LENGTH) },
    })
  }
  const host = text.toLowerCase()
  return DOCKER_HUB_NAMES.has(host) ? DOCKER_HUB : host
}

/** Whether the first element of an image's name means a registry: the rule of every client. */
export function looksLikeHost(element: string): boolean {
  return element === 'localhost' || element.includes('.') || element.includes(':')
}

/** Docker Hub's official images live under `library/`, which names may leave out. */
export function repositoryOf(registry: string, name: string): Repository {
  const official = registry === DOCKER_HUB && !name.includes('/')
  return { registry, name: official ? `library/${name}` : name }
}
