/**
 * The form in which statements about chunks travel: an envelope around
 * CBOR { v: 1, k: 'map' | 'claim', d: digest, n: size of the blob, s: signer, i?: indexes of a claim, ascending, h: their hashes, one after the other }.
 */
import { z } from 'zod'
import { planChunks } from '../../blob/chunk-plan.ts'
import type { ChunkHash, ChunkStatement } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { digestFromBytes, digestToBytes, HASH_BYTES } from '../encoding/digest-bytes.ts'
import { decodeCanonical, encodeCanonical } from '../encoding/strict-cbor.ts'
import type { Members } from '../swarm-ports.ts'
import { checkSigned, type Envelope, openEnvelope, seal } from './signed-envelope.ts'

const DOMAIN = 'shoal-statement-1'

/** So that a map and what goes with it fit into one message; blobs beyond (96 GiB) are not shared by maps. */
export const MAX_MAP_CHUNKS = 24_576
export const MAX_CLAIM_CHUNKS = 1_024
export const MAX_STATEMENT_BYTES = MAX_MAP_CHUNKS * HASH_BYTES + 512

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array)
const payloadSchema = z.strictObject({
  v: z.literal(1),
  k: z.enum(['map', 'claim']),
  d: bytes.refine((value) => value.length === HASH_BYTES),
  n: z.int().nonnegative(),
  s: z.string().min(1).max(128),
  i: z.array(z.int().nonnegative()).min(1).max(MAX_CLAIM_CHUNKS).optional(),
  h: bytes.refine((value) => value.length > 0 && value.length % HASH_BYTES === 0),
})

export type UnsignedStatement = Omit<ChunkStatement, 'signer' | 'encoded'>

/** A statement whose signature has not been checked. */
export interface UnverifiedStatement {
  readonly statement: ChunkStatement
  readonly envelope: Envelope
}

/** Whether a statement of this kind can say so much in one message. */
export function isStatable(kind: ChunkStatement['kind'], chunks: number): boolean {
  return chunks >= 1 && chunks <= (kind === 'map' ? MAX_MAP_CHUNKS : MAX_CLAIM_CHUNKS)
}

/** Signs with this agent's identity. @param unsigned `isStatable`; a map has the hashes of every chunk */
export async function signStatement(
  members: Pick<Members, 'self' | 'sign'>,
  unsigned: UnsignedStatement,
): Promise<ChunkStatement> {
  const { kind, digest, size } = unsigned
  const indexes = [...unsigned.hashes.keys()].sort((a, b) => a - b)
  const hashes = new Map(indexes.map((index) => [index, unsigned.hashes.get(index) ?? '']))
  const payload = encodeCanonical({
    v: 1,
    k: kind,
    d: digestToBytes(digest),
    n: size,
    s: members.self,
    ...(kind === 'claim' ? { i: indexes } : {}),
    h: Buffer.from([...hashes.values()].join(''), 'hex'),
  })
  return { kind, digest, size, signer: members.self, hashes, encoded: await seal(members, DOMAIN, payload) }
}

export function mapOf(digest: Digest, size: number, hashes: readonly ChunkHash[]): UnsignedStatement {
  return { kind: 'map', digest, size, hashes: new Map(hashes.entries()) }
}

/** @throws ShoalError PEER_MISBEHAVED */
export function parseStatement(encoded: Uint8Array): UnverifiedStatement {
  if (encoded.length > MAX_STATEMENT_BYTES) throw new ShoalError('PEER_MISBEHAVED', 'a statement that is too long')
  const envelope = openEnvelope(encoded)
  const parsed = payloadSchema.safeParse(decodeCanonical(envelope.payload, { maxItems: MAX_CLAIM_CHUNKS + 32 }))
  if (!parsed.success) throw new ShoalError('PEER_MISBEHAVED', 'not a statement', { cause: parsed.error })
  const { k: kind, d, n: size, s: signer, i: claimed, h } = parsed.data
  const { count } = planChunks(size)
  const stated = h.length / HASH_BYTES
  const isWhole =
    kind === 'map'
      ? claimed === undefined && stated === count && stated <= MAX_MAP_CHUNKS
      : claimed !== undefined && claimed.length === stated && isAscendingBelow(claimed, count)
  if (!isWhole) throw new ShoalError('PEER_MISBEHAVED', 'a statement about chunks that the blob has not')
  const hex = Buffer.from(h.buffer, h.byteOffset, h.length).toString('hex')
  const hashes = new Map<number, ChunkHash>()
  for (let at = 0; at < stated; at++) {
    hashes.set(claimed?.[at] ?? at, hex.slice(at * HASH_BYTES * 2, (at + 1) * HASH_BYTES * 2))
  }
  return { statement: { kind, digest: digestFromBytes(d), size, signer, hashes, encoded }, envelope }
}

/** @throws ShoalError PEER_MISBEHAVED */
export async function verifyStatement(
  members: Pick<Members, 'verify'>,
  { statement, envelope }: UnverifiedStatement,
): Promise<ChunkStatement> {
  await checkSigned(members, DOMAIN, statement.signer, envelope)
  return statement
}

/** Whether the statement says something else about a chunk than these hashes, which are known to be true. */
export function contradicts(statement: ChunkStatement, trueHashes: readonly ChunkHash[]): boolean {
  if (planChunks(statement.size).count !== trueHashes.length) return true
  for (const [index, hash] of statement.hashes) if (trueHashes[index] !== hash) return true
  return false
}

function isAscendingBelow(indexes: readonly number[], end: number): boolean {
  return indexes.every((index, at) => index < end && index > (indexes[at - 1] ?? -1))
}
