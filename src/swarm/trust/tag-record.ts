/**
 * What an agent saw of a tag at its origin, signed by it: an envelope around
 * CBOR { v: 1, r: registry, n: name of the repository, t: tag, d: digest, m: media type, z: size, a: when, milliseconds since the epoch, s: signer }.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { SeenTag } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import { type Digest, digestOf, isDigest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { decodeCanonical, encodeCanonical } from '../encoding/strict-cbor.ts'
import type { Members } from '../swarm-ports.ts'
import { checkSigned, openEnvelope, seal } from './signed-envelope.ts'

const DOMAIN = 'shoal-tag-1'
export const MAX_TAG_RECORD_BYTES = 2_048
/** How far clocks may differ. */
const MAX_FUTURE_MS = 5 * 60_000
const MAX_MEDIA_TYPE = 255

// https://www.rfc-editor.org/rfc/rfc6838#section-4.2: type-name "/" subtype-name
const MEDIA_TYPE = /^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]*\/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]*$/

const payloadSchema = z.strictObject({
  v: z.literal(1),
  r: z.string().max(255),
  n: z.string().max(255),
  t: z.string().max(128),
  d: z.string().max(140),
  m: z.string().max(MAX_MEDIA_TYPE).regex(MEDIA_TYPE),
  z: z.int().nonnegative(),
  a: z.int().nonnegative(),
  s: z.string().min(1).max(128),
})

/** The key under which those who can tell the tag are found. */
export function tagKey(repository: Repository, tag: string): Digest {
  const name = `shoal tag\n${repository.registry}/${repository.name}:${tag}`
  return digestOf('sha256', createHash('sha256').update(name).digest('hex'))
}

/** Whether a record can say so. */
export function isTellable({ mediaType }: SeenTag): boolean {
  return mediaType.length <= MAX_MEDIA_TYPE && MEDIA_TYPE.test(mediaType)
}

/** @param seen `isTellable` */
export function signTagRecord(
  members: Pick<Members, 'self' | 'sign'>,
  repository: Repository,
  tag: string,
  seen: SeenTag,
): Promise<Uint8Array> {
  const payload = encodeCanonical({
    v: 1,
    r: repository.registry,
    n: repository.name,
    t: tag,
    d: seen.digest,
    m: seen.mediaType,
    z: seen.size,
    a: seen.at,
    s: members.self,
  })
  return seal(members, DOMAIN, payload)
}

/**
 * What the record says, if `signer` signed it and it is about this tag. Undefined when it is from the future: a clock that is wrong is no
 * lie.
 * @throws ShoalError PEER_MISBEHAVED
 */
export async function readTagRecord(
  members: Pick<Members, 'verify'>,
  encoded: Uint8Array,
  expected: { readonly repository: Repository; readonly tag: string; readonly signer: string; readonly now: number },
): Promise<SeenTag | undefined> {
  if (encoded.length > MAX_TAG_RECORD_BYTES) throw new ShoalError('PEER_MISBEHAVED', 'a tag record that is too long')
  const envelope = openEnvelope(encoded)
  const parsed = payloadSchema.safeParse(decodeCanonical(envelope.payload, { maxItems: 32 }))
  if (!parsed.success) throw new ShoalError('PEER_MISBEHAVED', 'not a tag record', { cause: parsed.error })
  const { r, n, t, d: digest, m: mediaType, z: size, a: at, s } = parsed.data
  const { repository, tag, signer, now } = expected
  if (r !== repository.registry || n !== repository.name || t !== tag || s !== signer || !isDigest(digest)) {
    throw new ShoalError('PEER_MISBEHAVED', 'a tag record about something else')
  }
  await checkSigned(members, DOMAIN, signer, envelope)
  return at > now + MAX_FUTURE_MS ? undefined : { digest, mediaType, size, at }
}
