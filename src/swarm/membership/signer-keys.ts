import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'
import { lru } from '../../util/lru.ts'

const MAX_KEYS = 1_024

/** Keys of those that sign, read from their peer ids once: that costs 40 µs, a check of a signature 110. */
export class SignerKeys {
  readonly #keys = lru<string, KeyObject>(MAX_KEYS)

  /** False also for what is no peer id that carries an Ed25519 key. */
  verify(signer: string, bytes: Uint8Array, signature: Uint8Array): boolean {
    try {
      return verify(null, bytes, this.#keyOf(signer), signature)
    } catch {
      return false
    }
  }

  #keyOf(signer: string): KeyObject {
    const known = this.#keys.get(signer)
    if (known !== undefined) return known
    const { publicKey } = peerIdFromString(signer)
    if (publicKey?.type !== 'Ed25519') throw new TypeError('no key that signs here')
    const x = Buffer.from(publicKey.raw).toString('base64url')
    const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } })
    this.#keys.set(signer, key)
    return key
  }
}
