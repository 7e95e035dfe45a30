import { createHash } from 'node:crypto'
import type { Digest } from '../../oci/digest.ts'
import { digestToBytes } from '../encoding/digest-bytes.ts'

/** So that all agents ask the same ones about one blob, and those learn who wants it. */
export function nearestTo(digest: Digest, peers: Iterable<string>, count: number): string[] {
  const target = Buffer.from(digestToBytes(digest)).readBigUInt64BE()
  return Array.from(peers, (peer) => ({ peer, distance: positionOf(peer) ^ target }))
    .sort((a, b) => (a.distance < b.distance ? -1 : a.distance > b.distance ? 1 : 0))
    .slice(0, count)
    .map(({ peer }) => peer)
}

const MAX_POSITIONS = 4_096
const positions = new Map<string, bigint>()

/** The first 64 bits of the id's hash: enough to tell agents apart. */
function positionOf(peer: string): bigint {
  let position = positions.get(peer)
  if (position === undefined) {
    position = createHash('sha256').update(peer).digest().readBigUInt64BE()
    if (positions.size >= MAX_POSITIONS) positions.clear()
    positions.set(peer, position)
  }
  return position
}
