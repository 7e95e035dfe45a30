import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { describe, expect, it } from 'vitest'
import { ephemeralIdentity } from '../../../../src/swarm/membership/identity.ts'
import { SignerKeys } from '../../../../src/swarm/membership/signer-keys.ts'

const bytes = Buffer.from('what was said')

describe('the keys of signers', () => {
  it('tell whether a peer signed, the first time and from memory', async () => {
    const keys = new SignerKeys()
    const [one, other] = [await ephemeralIdentity(), await ephemeralIdentity()]
    const signer = peerIdFromPrivateKey(one).toString()
    const signature = await one.sign(bytes)
    for (let turn = 0; turn < 2; turn++) {
      expect(keys.verify(signer, bytes, signature)).toBe(true)
      expect(keys.verify(signer, Buffer.from('another thing'), signature)).toBe(false)
      expect(keys.verify(signer, bytes, await other.sign(bytes))).toBe(false)
      expect(keys.verify(peerIdFromPrivateKey(other).toString(), bytes, signature)).toBe(false)
      expect(keys.verify(signer, bytes, signature.subarray(1))).toBe(false)
    }
  })

  it('are not those of what is no peer, nor of peers that sign in another way', async () => {
    const keys = new SignerKeys()
    const foreign = await generateKeyPair('secp256k1')
    const signature = await foreign.sign(bytes)
    for (const signer of ['', 'nobody', peerIdFromPrivateKey(foreign).toString()]) {
      expect(keys.verify(signer, bytes, Buffer.from(signature))).toBe(false)
    }
  })
})
