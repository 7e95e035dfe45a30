/**
 * ADD_PROVIDER of the DHT's protocol, and who gets it: kad-dht looks up the closest agents anew for each key and opens a
 * stream for each message, where a fully connected agent knows them and has many keys to tell.
 * Messages: https://github.com/libp2p/specs/blob/master/kad-dht/README.md#rpc-messages
 */
import { createHash } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'

const ADD_PROVIDER = 2
/** Numbers of the fields in Message and in Peer. */
const FIELD = { type: 1, key: 2, providers: 9, id: 1, multiaddrs: 2 } as const
const VARINT = 0
const BYTES = 2

/**
 * @param provider.id of this agent
 * @param provider.addresses multiaddrs in binary
 */
export function encodeAddProvider(
  key: Uint8Array,
  provider: { readonly id: string; readonly addresses: readonly Uint8Array[] },
): Uint8Array {
  const peer = Buffer.concat([
    bytesField(FIELD.id, peerIdFromString(provider.id).toMultihash().bytes),
    ...provider.addresses.map((address) => bytesField(FIELD.multiaddrs, address)),
  ])
  return Buffer.concat([
    Buffer.from([(FIELD.type << 3) | VARINT, ADD_PROVIDER]),
    bytesField(FIELD.key, key),
    bytesField(FIELD.providers, peer),
  ])
}

/** The ids nearest to the key, nearest first: distance is XOR of the hashes of both. */
export function closestTo(key: Uint8Array, ids: Iterable<string>, count: number): string[] {
  const target = sha256(key)
  return [...ids]
    .map((id) => ({ id, distance: xor(sha256(peerIdFromString(id).toMultihash().bytes), target) }))
    .sort((a, b) => a.distance.compare(b.distance))
    .slice(0, count)
    .map(({ id }) => id)
}

function bytesField(field: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([(field << 3) | BYTES]), varint(bytes.length), bytes])
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Uint8Array.from([...bytes, rest])
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function xor(a: Buffer, b: Buffer): Buffer {
  return a.map((byte, index) => byte ^ (b[index] ?? 0)) as Buffer
}
