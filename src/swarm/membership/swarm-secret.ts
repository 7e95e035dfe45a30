/** What the secret of a swarm is turned into before anything is proved with it. */
import { scrypt } from 'node:crypto'
import { promisify } from 'node:util'

const stretch = promisify<string, string, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt)

/** Fixed, since every agent has to come to the same key from the secret alone. */
const SALT = 'shoal-swarm-key-1'
const KEY_BYTES = 32
/** 32 MiB and some 60 ms for each guess: the secret may have been chosen by a person. */
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

export type SwarmKey = Uint8Array

/** For a swarm without a secret: the handshake is the same and proves nothing. */
export const OPEN_KEY: SwarmKey = Buffer.from('shoal-open-swarm'.padEnd(KEY_BYTES, '.'))

export async function deriveSwarmKey(secret: string): Promise<SwarmKey> {
  return await stretch(secret.normalize('NFC'), SALT, KEY_BYTES, COST)
}
