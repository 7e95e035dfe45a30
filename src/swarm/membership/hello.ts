/**
 * What an agent says first on every connection, inside the encrypted channel:
 * CBOR { v: 1, nonce: 32 bytes, time: ms, version, zone, lane: { fingerprint, port, hosts } }.
 */
import { decode, encode } from 'cborg'
import { z } from 'zod'
import { ShoalError } from '../../errors.ts'
import type { OwnLane } from '../swarm-ports.ts'

export const HELLO_MAX_BYTES = 2048
const NONCE_BYTES = 32
const MAX_HOSTS = 8

/** Keys that are unknown here are left out: a later version may say more. */
const schema = z.object({
  v: z.literal(1),
  nonce: z.instanceof(Uint8Array).refine((nonce) => nonce.length === NONCE_BYTES),
  time: z.int().nonnegative(),
  version: z
    .string()
    .max(64)
    .regex(/^[\x20-\x7e]*$/),
  zone: z
    .string()
    .max(64)
    .regex(/^[\x20-\x7e]*$/),
  lane: z.object({
    fingerprint: z.string().regex(/^(?:[a-f0-9]{64})?$/),
    port: z.int().min(0).max(65_535),
    hosts: z
      .array(
        z
          .string()
          .max(253)
          .regex(/^[A-Za-z0-9_.:-]+$/),
      )
      .max(MAX_HOSTS),
  }),
})

export interface Hello {
  readonly nonce: Uint8Array
  /** Of the sender's clock, milliseconds since the epoch. */
  readonly time: number
  readonly version: string
  readonly zone: string
  readonly lane: OwnLane
}

export function encodeHello(hello: Hello): Uint8Array {
  const { fingerprint, port, hosts } = hello.lane
  return encode({ v: 1, ...hello, lane: { fingerprint, port, hosts: hosts.slice(0, MAX_HOSTS) } })
}

/** @throws ShoalError PEER_MISBEHAVED */
export function decodeHello(bytes: Uint8Array): Hello {
  let decoded: unknown
  try {
    decoded = decode(bytes, { strict: true, allowIndefinite: false, rejectDuplicateMapKeys: true })
  } catch (error) {
    throw new ShoalError('PEER_MISBEHAVED', 'a hello that is no CBOR', { cause: error })
  }
  const result = schema.safeParse(decoded)
  if (result.success) return result.data
  throw new ShoalError('PEER_MISBEHAVED', 'a hello that says the wrong things', { cause: result.error })
}
