/**
 * Messages of the swarm protocol `/shoal/swarm/1`, as CBOR maps. `want` asks for the state of a blob in the name of a registry and for news until
 * `unwant`; `have`, `more` and `none` answer it, `full` turns it away; `others` names peers that
 * want it too or said `here` about it; `lease` asks the blob's coordinator for leave to fetch chunks from the origin, `leased` answers it, `holders` names who brought some that are lacked; `ban` shows a false
 * statement; `ask` and `told` are about tags and admissions.
 */
import { z } from 'zod'
import { planChunks } from '../../blob/chunk-plan.ts'
import type { ChunkRange, Lease, LeaseAsk } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { bitmapBytes } from '../encoding/chunk-bitmap.ts'
import { digestFromBytes, digestToBytes, HASH_BYTES } from '../encoding/digest-bytes.ts'
import { decodeStrict, encodeCanonical } from '../encoding/strict-cbor.ts'
import { MAX_STATEMENT_BYTES } from '../trust/statement.ts'
import { MAX_TAG_RECORD_BYTES } from '../trust/tag-record.ts'

export const MAX_MESSAGE_BYTES = 1024 * 1024
export const MAX_STATEMENTS = 64
export const MAX_INDEXES = 8_192
export const MAX_OTHERS = 16
export const MAX_IDENTITIES = 8
export const MAX_LEASE_RANGES = 64
export const MAX_LEASE_CHUNKS = 1_024
export const MAX_LEASE_MS = 60_000
export const MAX_NEARER = 3
export const MAX_HOLDERS = 4
/** Peers that are asked about one blob. A thousand provider records for it must cost nothing much. */
export const MAX_ASKED = 16
/** Peers that one agent tells its news of one blob, and that it asks when they ask it: so who asks that many is asked by about as many, however many agents there are. */
export const MAX_TOLD = 32
const MAX_SERIAL = 2 ** 40
/** 4 TiB: bounds the memory that a peer's word about a size can take. */
export const MAX_CHUNKS = 1_048_576

export interface BlobKey {
  readonly digest: Digest
  readonly registry: string
}

interface Statements {
  /** As they travel. */
  readonly statements: readonly Uint8Array[]
}

export interface WantMessage extends BlobKey {
  readonly type: 'want' | 'unwant' | 'none' | 'full'
}

export interface HaveMessage extends BlobKey, Statements {
  readonly type: 'have'
  /** Bytes of the blob. */
  readonly size: number
  /** Which chunks; undefined: all. */
  readonly bits: Uint8Array | undefined
}

export interface MoreMessage extends BlobKey, Statements {
  readonly type: 'more'
  readonly indexes: readonly number[]
}

export interface OthersMessage extends BlobKey {
  readonly type: 'others'
  readonly peers: readonly string[]
}

export interface LeaseMessage extends BlobKey, LeaseAsk {
  readonly type: 'lease'
  /** The `serial` of the last answer that its sender got from this coordinator; 0: none. */
  readonly heard: number
  /** It asks no more. */
  readonly leaves: boolean
}

export interface LeasedMessage extends BlobKey, Lease {
  readonly type: 'leased'
  /** Counts the coordinator's answers to this agent about the blob. */
  readonly serial: number
  /** Members nearer to the digest than the one that answers. */
  readonly nearer: readonly string[]
}

/** From a coordinator. */
export interface HoldersMessage extends BlobKey {
  readonly type: 'holders'
  readonly peers: readonly string[]
}

/** To the members nearest to the digest: its sender has at least a part. */
export interface HereMessage {
  readonly type: 'here'
  readonly digest: Digest
}

export interface BanMessage {
  readonly type: 'ban'
  /** The false statement. */
  readonly proof: Uint8Array
}

export interface AskMessage {
  readonly type: 'ask'
  /** Of the asker's choice; the answer repeats it. */
  readonly id: number
  readonly registry: string
  readonly repository: string
  readonly tag: string | undefined
  /** Whether it is in the repository. */
  readonly digest: Digest | undefined
  readonly identities: readonly string[]
}

export interface ToldMessage {
  readonly type: 'told'
  readonly id: number
  /** A signed tag record. */
  readonly record: Uint8Array | undefined
  /** Milliseconds since the epoch. */
  readonly admittedAt: number | undefined
  readonly isLinked: boolean
}

export type BlobMessage = WantMessage | HaveMessage | MoreMessage | OthersMessage
export type WireMessage =
  | BlobMessage
  | LeaseMessage
  | LeasedMessage
  | HoldersMessage
  | HereMessage
  | BanMessage
  | AskMessage
  | ToldMessage

const bytesUpTo = (max: number) => z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= max)
const registry = z.string().min(1).max(255)
const index = z
  .int()
  .nonnegative()
  .max(MAX_CHUNKS - 1)
const digest = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === HASH_BYTES)
  .transform(digestFromBytes)
const blob = { digest, registry }
const size = z.int().nonnegative()
/** Chunks [from, to) as one list: from, to, from, to … */
const ranges = z
  .array(z.int().nonnegative().max(MAX_CHUNKS))
  .max(2 * MAX_LEASE_RANGES)
  .refine((flat) => flat.length % 2 === 0)
  .transform(rangesIn)
  .refine((all) => all.every(({ from, to }) => from < to))
const statements = { statements: z.array(bytesUpTo(MAX_STATEMENT_BYTES)).max(MAX_STATEMENTS) }

const schema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.enum(['want', 'unwant', 'none', 'full']), ...blob }),
  z.strictObject({
    type: z.literal('have'),
    ...blob,
    ...statements,
    size,
    bits: bytesUpTo(bitmapBytes(MAX_CHUNKS)).optional(),
  }),
  z.strictObject({ type: z.literal('more'), ...blob, ...statements, indexes: z.array(index).max(MAX_INDEXES) }),
  z.strictObject({
    type: z.literal('others'),
    ...blob,
    peers: z.array(z.string().min(1).max(128)).max(MAX_OTHERS),
  }),
  z.strictObject({
    type: z.literal('lease'),
    ...blob,
    size,
    gaps: ranges,
    fetching: ranges,
    most: z.int().nonnegative().max(MAX_LEASE_CHUNKS),
    heard: z.int().nonnegative().max(MAX_SERIAL),
    leaves: z.boolean(),
  }),
  z.strictObject({
    type: z.literal('leased'),
    ...blob,
    ranges: ranges.refine((all) => all.reduce((sum, { from, to }) => sum + to - from, 0) <= MAX_LEASE_CHUNKS),
    forMs: z.int().nonnegative().max(MAX_LEASE_MS),
    members: z.int().nonnegative(),
    serial: z.int().nonnegative().max(MAX_SERIAL),
    nearer: z.array(z.string().min(1).max(128)).max(MAX_NEARER),
  }),
  z.strictObject({
    type: z.literal('holders'),
    ...blob,
    peers: z.array(z.string().min(1).max(128)).max(MAX_HOLDERS),
  }),
  z.strictObject({ type: z.literal('here'), digest }),
  z.strictObject({ type: z.literal('ban'), proof: bytesUpTo(MAX_STATEMENT_BYTES) }),
  z.strictObject({
    type: z.literal('ask'),
    id: z.int().nonnegative(),
    registry,
    repository: z.string().min(1).max(255),
    tag: z.string().min(1).max(128).optional(),
    digest: digest.optional(),
    identities: z.array(z.string().min(1).max(256)).max(MAX_IDENTITIES),
  }),
  z.strictObject({
    type: z.literal('told'),
    id: z.int().nonnegative(),
    record: bytesUpTo(MAX_TAG_RECORD_BYTES).optional(),
    admittedAt: z.int().nonnegative().optional(),
    isLinked: z.boolean(),
  }),
])

export function encodeMessage(message: WireMessage): Uint8Array {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(message)) if (value !== undefined) fields[name] = value
  if ('digest' in message && message.digest !== undefined) fields['digest'] = digestToBytes(message.digest)
  for (const name of ['gaps', 'fetching', 'ranges'] as const) {
    const ranges = fields[name] as readonly ChunkRange[] | undefined
    if (ranges !== undefined) fields[name] = ranges.flatMap(({ from, to }) => [from, to])
  }
  return encodeCanonical(fields)
}

/** @throws ShoalError PEER_MISBEHAVED */
export function decodeMessage(bytes: Uint8Array): WireMessage {
  const parsed = schema.safeParse(decodeStrict(bytes, { maxItems: MAX_INDEXES + 256 }))
  if (!parsed.success) throw new ShoalError('PEER_MISBEHAVED', 'not a message', { cause: parsed.error })
  const message = parsed.data
  if (message.type === 'ask') return { ...message, tag: message.tag, digest: message.digest }
  if (message.type === 'told') return { ...message, record: message.record, admittedAt: message.admittedAt }
  if (message.type === 'lease') {
    const { count } = planChunks(message.size)
    if (count > MAX_CHUNKS || [...message.gaps, ...message.fetching].some(({ to }) => to > count)) {
      throw new ShoalError('PEER_MISBEHAVED', 'chunks that do not fit the size')
    }
  }
  if (message.type !== 'have') return message
  const { count } = planChunks(message.size)
  const { bits } = message
  if (count > MAX_CHUNKS || (bits !== undefined && bits.length !== bitmapBytes(count))) {
    throw new ShoalError('PEER_MISBEHAVED', 'chunks that do not fit the size')
  }
  return { ...message, bits }
}

function rangesIn(flat: readonly number[]): ChunkRange[] {
  const found: ChunkRange[] = []
  for (let at = 0; at < flat.length; at += 2) found.push({ from: flat[at] ?? 0, to: flat[at + 1] ?? 0 })
  return found
}
