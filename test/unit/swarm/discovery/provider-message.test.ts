import { createHash } from 'node:crypto'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, it } from 'vitest'
import { closestTo, encodeAddProvider } from '../../../../src/swarm/discovery/provider-message.ts'
import { ephemeralIdentity } from '../../../../src/swarm/membership/identity.ts'

it('is the message that the specification describes', async () => {
  const peer = peerIdFromPrivateKey(await ephemeralIdentity())
  const id = Buffer.from(peer.toMultihash().bytes).toString('hex')
  const message = encodeAddProvider(Buffer.from('1220aa', 'hex'), {
    id: peer.toString(),
    addresses: [Buffer.from('047f000001', 'hex'), Buffer.alloc(200, 1)],
  })
  const inner = `0a26${id}1205047f00000112c801${'01'.repeat(200)}`
  expect(Buffer.from(message).toString('hex')).toBe(`080212031220aa4afa01${inner}`)
})

it('is for the ids nearest to the key', async () => {
  const key = Buffer.from('key')
  const peers = await Promise.all(
    Array.from({ length: 20 }, async () => peerIdFromPrivateKey(await ephemeralIdentity())),
  )
  const hash = (bytes: Uint8Array): bigint => BigInt(`0x${createHash('sha256').update(bytes).digest('hex')}`)
  const distance = (bytes: Uint8Array): bigint => hash(bytes) ^ hash(key)
  const byDistance = peers
    .map((peer) => ({ id: peer.toString(), at: distance(peer.toMultihash().bytes) }))
    .sort((a, b) => (a.at < b.at ? -1 : 1))
  const nearest = closestTo(key, peers.map(String), 8)
  expect(nearest).toEqual(byDistance.slice(0, 8).map(({ id }) => id))
})
