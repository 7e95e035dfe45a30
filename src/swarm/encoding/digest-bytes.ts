import { type Digest, digestAlgorithm, digestHex, digestOf } from '../../oci/digest.ts'

export const HASH_BYTES = 32

/** The swarm knows sha256 only: the store keeps nothing else. */
export function isSwarmDigest(digest: Digest): boolean {
  return digestAlgorithm(digest) === 'sha256'
}

/** The hash itself, as it travels. */
export function digestToBytes(digest: Digest): Uint8Array {
  return Buffer.from(digestHex(digest), 'hex')
}

/** @param bytes 32 of them */
export function digestFromBytes(bytes: Uint8Array): Digest {
  return digestOf('sha256', Buffer.from(bytes.buffer, bytes.byteOffset, HASH_BYTES).toString('hex'))
}
