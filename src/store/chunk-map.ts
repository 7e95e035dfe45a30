/**
 * The file that keeps the hashes of all chunks of a complete blob.
 *
 *     8 bytes magic, u32 version, u64 size of the blob, 32 bytes digest, 32 bytes SHA-256 for each chunk, u32 CRC-32 of all before
 *
 * Integers are big-endian. It is written without a sync: what a crash leaves of it does not have its check.
 */
import { crc32 } from 'node:zlib'
import { planChunks } from '../blob/chunk-plan.ts'
import type { ChunkHash } from '../blob/ports.ts'
import { type Digest, digestHex } from '../oci/digest.ts'

const MAGIC = Buffer.from('SHOALMAP', 'latin1')
const VERSION = 1
const AT = { version: 8, size: 12, digest: 20, hashes: 52 } as const
const HASH_BYTES = 32
const CRC_BYTES = 4

/** Bytes of the chunk map of a blob of `size` bytes. */
export function chunkMapBytes(size: number): number {
  return AT.hashes + planChunks(size).count * HASH_BYTES + CRC_BYTES
}

/** @param hashes of all chunks, in order */
export function encodeChunkMap(digest: Digest, size: number, hashes: readonly ChunkHash[]): Buffer {
  const bytes = Buffer.alloc(chunkMapBytes(size))
  header(digest, size).copy(bytes)
  bytes.write(hashes.join(''), AT.hashes, 'hex')
  const end = bytes.length - CRC_BYTES
  bytes.writeUInt32BE(crc32(bytes.subarray(0, end)), end)
  return bytes
}

/** @returns undefined for anything but a whole, undamaged map of this blob */
export function parseChunkMap(bytes: Buffer, digest: Digest, size: number): ChunkHash[] | undefined {
  if (bytes.length !== chunkMapBytes(size)) return undefined
  const end = bytes.length - CRC_BYTES
  if (bytes.readUInt32BE(end) !== crc32(bytes.subarray(0, end))) return undefined
  if (!bytes.subarray(0, AT.hashes).equals(header(digest, size))) return undefined
  const hashes: ChunkHash[] = []
  for (let at: number = AT.hashes; at < end; at += HASH_BYTES) hashes.push(bytes.toString('hex', at, at + HASH_BYTES))
  return hashes
}

function header(digest: Digest, size: number): Buffer {
  const bytes = Buffer.alloc(AT.hashes)
  MAGIC.copy(bytes)
  bytes.writeUInt32BE(VERSION, AT.version)
  bytes.writeBigUInt64BE(BigInt(size), AT.size)
  bytes.write(digestHex(digest), AT.digest, 'hex')
  return bytes
}
