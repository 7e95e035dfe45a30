import { createHash } from 'node:crypto'
import type { Descriptor, ManifestBytes } from '../blob/ports.ts'
import { type Digest, digestAlgorithm, digestOf, isDigest } from '../oci/digest.ts'
import { readBounded } from './bounded-body.ts'
import { contentLength, type HttpAnswer, header } from './http-exchange.ts'
import { misbehaved, OriginFailure } from './origin-failure.ts'

const MAX_MANIFEST_BYTES = 8 * 1024 * 1024

/** @returns undefined when the answer to a HEAD does not say everything */
export function readManifestHead(answer: HttpAnswer): Descriptor | undefined {
  const digest = header(answer, 'docker-content-digest')
  const mediaType = mediaTypeOf(answer)
  const size = contentLength(answer)
  const complete = digest !== undefined && isDigest(digest) && mediaType !== undefined && size !== undefined
  // Some origins say 0 where they do not know.
  return complete && size > 0 && size <= MAX_MANIFEST_BYTES ? { digest, mediaType, size } : undefined
}

/**
 * Reads the whole manifest and checks it.
 * @param wanted its digest; undefined: the one in the answer, or else its SHA-256
 * @throws ShoalError DIGEST_MISMATCH, ORIGIN_MISBEHAVED
 */
export async function readManifest(
  registry: string,
  answer: HttpAnswer,
  wanted: Digest | undefined,
): Promise<ManifestBytes> {
  const bytes = await readBounded(registry, answer, MAX_MANIFEST_BYTES)
  const stated = header(answer, 'docker-content-digest')
  const expected = wanted ?? (stated !== undefined && isDigest(stated) ? stated : undefined)
  const algorithm = expected === undefined ? 'sha256' : digestAlgorithm(expected)
  const digest = digestOf(algorithm, createHash(algorithm).update(bytes).digest('hex'))
  if (expected !== undefined && expected !== digest) {
    const detail = { registry, digest: expected, found: digest }
    throw new OriginFailure('DIGEST_MISMATCH', `${registry}: manifest is not what its digest says`, { detail })
  }
  const mediaType = mediaTypeOf(answer) ?? mediaTypeInside(bytes)
  if (mediaType === undefined) throw misbehaved(registry, 'manifest has no media type')
  return { digest, mediaType, bytes }
}

/** Content-Type without its parameters. */
export function mediaTypeOf(answer: HttpAnswer): string | undefined {
  return header(answer, 'content-type')?.split(';')[0]?.trim() || undefined
}

function mediaTypeInside(bytes: Buffer): string | undefined {
  try {
    const { mediaType } = JSON.parse(bytes.toString())
    return typeof mediaType === 'string' ? mediaType : undefined
  } catch {
    return undefined
  }
}
