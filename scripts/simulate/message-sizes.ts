/** Bytes on the wire of what agents tell each other, by encoding real messages once. */
import type { ChunkHash, ChunkRange } from '../../src/blob/ports.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { frame } from '../../src/swarm/encoding/frames.ts'
import { haveMessages, moreMessages } from '../../src/swarm/exchange/want-answers.ts'
import { encodeMessage, type WireMessage } from '../../src/swarm/protocol/wire-messages.ts'
import { signStatement } from '../../src/swarm/trust/statement.ts'

/** yamux header; length and tag of noise; Ethernet, IPv4 and TCP with timestamps: each message may be a segment of its own. */
const ENVELOPE_BYTES = 12 + 18 + 66
/** Its acknowledgement, the other way. */
const ACKNOWLEDGEMENT_BYTES = 66
const PEER_ID = '12D3KooWJRLQfzAuMcNYoFRTnGj5xJeqYQGPhmc6b8U9o6sPZeFi'
const DIGEST = digestOf('sha256', 'ab'.repeat(32))
const KEY = { digest: DIGEST, registry: '10.0.0.1:5000' }

export interface MessageSizes {
  want: number
  none: number
  others(names: number): number
  have(chunks: number, statementBytes: number): number
  more(indexes: number, statementBytes: number): number
  lease(ranges: number): number
  leased(ranges: number): number
  /** A signed claim of so many chunks. */
  claim(chunks: number): number
  map(chunks: number): number
}

export async function measureMessages(): Promise<MessageSizes> {
  const signer = { self: PEER_ID, sign: () => Promise.resolve(new Uint8Array(64)) }
  const hash: ChunkHash = 'cd'.repeat(32)
  const statementBytes = async (kind: 'claim' | 'map', chunks: number): Promise<number> => {
    const hashes = new Map(Array.from({ length: chunks }, (_, index) => [index, hash]))
    const { encoded } = await signStatement(signer, { kind, digest: DIGEST, size: chunks * 4 * 1024 * 1024, hashes })
    return encoded.length
  }
  const view = { digest: DIGEST, size: 0, isComplete: false, has: () => true, statements: [], claims: new Map() }
  const have = (chunks: number): number =>
    sum(haveMessages(KEY, { ...view, size: chunks * 4 * 1024 * 1024 }, []).map(wireBytes))
  const more = (count: number): number =>
    sum(
      moreMessages(
        KEY,
        Array.from({ length: count }, (_, index) => 24 + index),
        [],
      ).map(wireBytes),
    )
  const others = (count: number): number =>
    wireBytes({ type: 'others', ...KEY, peers: Array.from({ length: count }, () => PEER_ID) })
  const ranges = (count: number): ChunkRange[] =>
    Array.from({ length: count }, (_, index) => ({ from: 30 + 2 * index, to: 31 + 2 * index }))
  const lease = (count: number): number =>
    wireBytes({
      type: 'lease',
      ...KEY,
      size: 32 * 1024 * 1024,
      gaps: ranges(count),
      fetching: [],
      most: 4,
      heard: 30,
      leaves: false,
    })
  const leased = (count: number): number =>
    wireBytes({ type: 'leased', ...KEY, ranges: ranges(count), forMs: 3_000, members: 16, serial: 30, nearer: [] })
  const claim = lineThrough(1, await statementBytes('claim', 1), 11, await statementBytes('claim', 11))
  const map = lineThrough(10, await statementBytes('map', 10), 110, await statementBytes('map', 110))
  const haveOf = lineThrough(16, have(16), 128, have(128))
  const moreOf = lineThrough(1, more(1), 101, more(101))
  const othersOf = lineThrough(1, others(1), 11, others(11))
  return {
    want: wireBytes({ type: 'want', ...KEY }),
    none: wireBytes({ type: 'none', ...KEY }),
    others: othersOf,
    have: (chunks, statements) => haveOf(chunks) + statements,
    more: (indexes, statements) => moreOf(indexes) + statements,
    lease: lineThrough(1, lease(1), 11, lease(11)),
    leased: lineThrough(1, leased(1), 11, leased(11)),
    claim,
    map,
  }
}

function wireBytes(message: WireMessage): number {
  return frame(encodeMessage(message)).length + ENVELOPE_BYTES + ACKNOWLEDGEMENT_BYTES
}

function lineThrough(x1: number, y1: number, x2: number, y2: number): (x: number) => number {
  const slope = (y2 - y1) / (x2 - x1)
  return (x) => y1 + (x - x1) * slope
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
