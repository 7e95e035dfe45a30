/**
 * The file beside a partial blob that says which chunks are on disk and what they hashed to. It may claim too much
 * (nothing is synced in between), so every claim is checked against the data before it is used.
 *
 *     header  8 bytes magic, u32 version, u64 size of the blob, 32 bytes digest, u32 CRC-32 of all before
 *     record  u32 chunk index (highest bit: the chunk rests on the word of one peer), 32 bytes SHA-256 of the chunk, u32 CRC-32 of both, continued from the header's CRC-32
 *
 * Integers are big-endian. Records lie at fixed places, so a damaged one costs only itself. The last one of a chunk counts.
 */
import { crc32 } from 'node:zlib'
import { type ChunkPlan, planChunks } from '../blob/chunk-plan.ts'
import type { ChunkHash } from '../blob/ports.ts'
import { type Digest, digestHex, digestOf } from '../oci/digest.ts'

const MAGIC = Buffer.from('SHOALCHK', 'latin1')
const VERSION = 1
const AT = { version: 8, size: 12, digest: 20, crc: 52 } as const
const RECORD = { hash: 4, crc: 36 } as const

const UNSURE = 2 ** 31

export const LOG_HEADER_BYTES = 56
export const LOG_RECORD_BYTES = 40

export interface ParsedChunkLog {
  readonly digest: Digest
  readonly size: number
  readonly claimed: ReadonlyMap<number, ChunkHash>
  /** Chunks that rested on the word of one peer. */
  readonly unsure: ReadonlySet<number>
  /** Bytes up to the end of the last whole record, good or damaged: where the next one goes. */
  readonly length: number
}

export function encodeLogHeader(digest: Digest, size: number): Buffer {
  const header = Buffer.alloc(LOG_HEADER_BYTES)
  MAGIC.copy(header)
  header.writeUInt32BE(VERSION, AT.version)
  header.writeBigUInt64BE(BigInt(size), AT.size)
  header.write(digestHex(digest), AT.digest, 'hex')
  header.writeUInt32BE(crc32(header.subarray(0, AT.crc)), AT.crc)
  return header
}

/** @param header of the log that the record goes to: a record is good only in its own log */
export function encodeLogRecord(
  header: Buffer,
  index: number,
  hash: ChunkHash,
  { isSure }: { readonly isSure: boolean },
): Buffer {
  const record = Buffer.alloc(LOG_RECORD_BYTES)
  record.writeUInt32BE(isSure ? index : index + UNSURE)
  record.write(hash, RECORD.hash, 'hex')
  record.writeUInt32BE(recordCheck(header, record), RECORD.crc)
  return record
}

/** What the log claims; undefined when its header is not one of ours, of this version. */
export function parseChunkLog(bytes: Buffer): ParsedChunkLog | undefined {
  if (bytes.length < LOG_HEADER_BYTES) return undefined
  const header = bytes.subarray(0, LOG_HEADER_BYTES)
  if (!header.subarray(0, MAGIC.length).equals(MAGIC) || header.readUInt32BE(AT.version) !== VERSION) return undefined
  if (header.readUInt32BE(AT.crc) !== crc32(header.subarray(0, AT.crc))) return undefined
  const size = Number(header.readBigUInt64BE(AT.size))
  if (!Number.isSafeInteger(size)) return undefined
  const records = Math.floor((bytes.length - LOG_HEADER_BYTES) / LOG_RECORD_BYTES)
  const length = LOG_HEADER_BYTES + records * LOG_RECORD_BYTES
  return {
    digest: digestOf('sha256', header.toString('hex', AT.digest, AT.crc)),
    size,
    ...parseRecords(header, bytes.subarray(LOG_HEADER_BYTES, length), planChunks(size)),
    length,
  }
}

function parseRecords(header: Buffer, records: Buffer, plan: ChunkPlan): Pick<ParsedChunkLog, 'claimed' | 'unsure'> {
  const claimed = new Map<number, ChunkHash>()
  const unsure = new Set<number>()
  for (let at = 0; at < records.length; at += LOG_RECORD_BYTES) {
    const record = records.subarray(at, at + LOG_RECORD_BYTES)
    const index = record.readUInt32BE() % UNSURE
    if (index >= plan.count || record.readUInt32BE(RECORD.crc) !== recordCheck(header, record)) continue
    claimed.set(index, record.toString('hex', RECORD.hash, RECORD.crc))
    if (record.readUInt32BE() === index) unsure.delete(index)
    else unsure.add(index)
  }
  return { claimed, unsure }
}

function recordCheck(header: Buffer, record: Buffer): number {
  return crc32(record.subarray(0, RECORD.crc), header.readUInt32BE(AT.crc))
}
