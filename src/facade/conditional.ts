import type { Digest } from '../oci/digest.ts'

// https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3: entity-tag
const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

export function entityTag(digest: Digest): string {
  return `"${digest}"`
}

/** Whether `If-None-Match` names the content (weak comparison, RFC 9110 §13.1.2), so that 304 is the answer. */
export function isNotModified(ifNoneMatch: string | undefined, digest: Digest): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  const tag = entityTag(digest)
  return ifNoneMatch.match(ENTITY_TAG)?.some((one) => one === tag || one === `W/${tag}`) ?? false
}

/** Whether `If-Range` lets a `Range` count (strong comparison, RFC 9110 §13.1.5). There are no dates to compare. */
export function rangeCounts(ifRange: string | undefined, digest: Digest): boolean {
  return ifRange === undefined || ifRange.trim() === entityTag(digest)
}
