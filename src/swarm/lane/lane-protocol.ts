import type { SecureContextOptions } from 'node:tls'
import type { ByteRange } from '../../blob/ports.ts'
import { isDigest } from '../../oci/digest.ts'
import type { LaneRequest } from '../swarm-ports.ts'

/** The libp2p protocol whose streams carry the same exchange where the lane's own port can't be reached. */
export const LANE_STREAM_PROTOCOL = '/shoal/lane/1'

/** Bytes of a request's or an answer's head; ours have about 300. */
export const MAX_HEAD_BYTES = 8 * 1024

/** ChaCha20 costs both ends a third more where the processor has AES of its own; the two key sizes do not differ. */
export const LANE_TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
} as const satisfies SecureContextOptions

/**
 * With a 429. `range`: what was asked for is being given to others, who will have it soon; anything else may be asked for. `peer`: others have been asking for
 * longer. Agents of earlier versions take it for `range`.
 */
export const CROWDED_HEADER = 'shoal-crowded'
export type Crowded = 'range' | 'peer'

const BLOBS = '/v1/blobs/'
// A host with a port; registries are compared as text, so this only keeps out what can be none
const REGISTRY = /^[\w.:[\]-]{1,255}$/

/** What stands in the request line. */
export function formatLaneTarget({ digest, registry }: LaneRequest): string {
  return `${BLOBS}${digest}?registry=${encodeURIComponent(registry)}`
}

/** @returns undefined for what is no target of the lane */
export function parseLaneTarget(target: string): Pick<LaneRequest, 'digest' | 'registry'> | undefined {
  const [path, query, ...rest] = target.split('?')
  if (path === undefined || query === undefined || rest.length > 0 || !path.startsWith(BLOBS)) return undefined
  const digest = path.slice(BLOBS.length)
  const registry = new URLSearchParams(query).get('registry')
  if (!isDigest(digest) || registry === null || !REGISTRY.test(registry)) return undefined
  return { digest, registry }
}

/** `Range` of a request. @param range not empty */
export function formatLaneRange(range: ByteRange): string {
  return `bytes=${range.start}-${range.end - 1}`
}

/**
 * Only one range with both ends, as peers send it.
 * @returns undefined for anything else
 */
export function parseLaneRange(header: string): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header) ?? []
  const range = { start: Number(first), end: Number(last) + 1 }
  return range.start < range.end ? range : undefined
}

/** `Content-Range` of an answer. */
export function formatContentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end - 1}/${size}`
}

/** @returns undefined for anything but one range of known size, within that size */
export function parseContentRange(header: string): { readonly range: ByteRange; readonly size: number } | undefined {
  const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header) ?? []
  const range = { start: Number(first), end: Number(last) + 1 }
  const size = Number(total)
  return range.start < range.end && range.end <= size ? { range, size } : undefined
}
