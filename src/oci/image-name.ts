import { ShoalError } from '../errors.ts'
import { parseTagOrDigest, type Repository, type TagOrDigest } from './reference.ts'
import { resolveRepository, type UpstreamRules } from './upstream.ts'

export interface ImageName {
  readonly repository: Repository
  readonly reference: TagOrDigest
}

const MAX_LENGTH = 1024
const DEFAULT_TAG = 'latest'

/**
 * An image as users name it: `[registry/]name[:tag][@digest]`. Of a tag and a digest the digest counts.
 * https://github.com/distribution/reference/blob/main/reference.go: the grammar above the package
 * @throws ShoalError NAME_INVALID, TAG_INVALID, DIGEST_INVALID
 */
export function parseImageName(text: string, rules: UpstreamRules): ImageName {
  if (text.length > MAX_LENGTH) throw new ShoalError('NAME_INVALID', 'too long for the name of an image')
  const at = text.indexOf('@')
  const named = at === -1 ? text : text.slice(0, at)
  const colon = named.lastIndexOf(':')
  const hasTag = colon > named.lastIndexOf('/')
  const name = hasTag ? named.slice(0, colon) : named
  const tag = hasTag ? parseTagOrDigest(named.slice(colon + 1)) : { tag: DEFAULT_TAG }
  const digest = at === -1 ? undefined : digestOnly(text.slice(at + 1))
  return { repository: resolveRepository(name, undefined, rules), reference: digest ?? tag }
}

/** The whole name, which means the same on every agent. */
export function formatImageName({ repository: { registry, name }, reference }: ImageName): string {
  return `${registry}/${name}${'tag' in reference ? `:${reference.tag}` : `@${reference.digest}`}`
}

function digestOnly(text: string): TagOrDigest {
  const parsed = parseTagOrDigest(text)
  if ('digest' in parsed) return parsed
  throw new ShoalError('DIGEST_INVALID', 'not a sha256 or sha512 digest', { detail: { digest: text.slice(0, 140) } })
}
