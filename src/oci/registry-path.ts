import { ShoalError } from '../errors.ts'
import type { Digest } from './digest.ts'
import { parseDigest } from './digest.ts'
import { parseTagOrDigest, type TagOrDigest } from './reference.ts'

/**
 * What a request of the registry API is about. `name` is what stands in the path: it may begin with a registry
 * (`oci/upstream` tells), and is not yet known to be a valid repository name.
 */
export type RegistryResource =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: TagOrDigest }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'upload'; readonly name: string }
  | { readonly kind: 'unknown' }

export interface RegistryQuery {
  /** The registry that a mirror's client means. */
  readonly ns: string | undefined
  /** The rest, as it came, without `?`. */
  readonly rest: string
}

// 255 for the name, as much for a registry before it, and the slash between them
const MAX_NAME_LENGTH = 511

/**
 * Paths: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
 * @param path of the request target, not decoded, without the query
 * @throws ShoalError NAME_INVALID, TAG_INVALID, DIGEST_INVALID
 */
export function parseRegistryPath(path: string): RegistryResource {
  if (path === '/v2' || path === '/v2/') return { kind: 'ping' }
  if (!path.startsWith('/v2/')) return { kind: 'unknown' }
  if (path === '/v2/_catalog') return { kind: 'catalog' }
  const segments = path.slice('/v2/'.length).split('/').map(decodeSegment)
  const last = segments.length - 1
  const [verb, subject] = [segments[last - 1], segments[last] ?? '']
  const before = (count: number): string => nameOf(segments.slice(0, segments.length - count))

  if (verb === 'uploads' && segments[last - 2] === 'blobs') return { kind: 'upload', name: before(3) }
  if (verb === 'blobs' && subject === 'uploads') return { kind: 'upload', name: before(2) }
  if (verb === 'manifests') return { kind: 'manifest', name: before(2), reference: parseTagOrDigest(subject) }
  if (verb === 'blobs') return { kind: 'blob', name: before(2), digest: parseDigest(subject) }
  if (verb === 'referrers') return { kind: 'referrers', name: before(2), digest: parseDigest(subject) }
  if (verb === 'tags' && subject === 'list') return { kind: 'tags', name: before(2) }
  return { kind: 'unknown' }
}

/** @param query of the request target, without `?`. */
export function parseRegistryQuery(query: string): RegistryQuery {
  if (query === '') return { ns: undefined, rest: '' }
  const rest: string[] = []
  let ns: string | undefined
  for (const pair of query.split('&')) {
    if (pair === 'ns' || pair.startsWith('ns=')) ns ??= checked(decode(pair.slice('ns='.length)))
    else if (pair !== '') rest.push(pair)
  }
  return { ns, rest: rest.join('&') }
}

function nameOf(segments: readonly string[]): string {
  const name = segments.join('/')
  if (name === '' || name.length > MAX_NAME_LENGTH || segments.some((part) => part === '' || /^\.+$/.test(part))) {
    throw new ShoalError('NAME_INVALID', 'not a repository name', { detail: { name: name.slice(0, MAX_NAME_LENGTH) } })
  }
  return name
}

function decodeSegment(segment: string): string {
  return checked(segment.includes('%') ? decode(segment) : segment)
}

/** What stands for a slash must not become one: the path would be another than the one that was checked. */
function checked(decoded: string): string {
  if (/[/\\]|\p{Cc}/u.test(decoded)) throw new ShoalError('NAME_INVALID', 'a character that no name has')
  return decoded
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new ShoalError('NAME_INVALID', 'bad percent-encoding', { cause })
  }
}
