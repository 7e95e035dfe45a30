import { expect, it } from 'vitest'
import type { ChunkStatement } from '../../../../src/blob/ports.ts'
import { BlobInterest } from '../../../../src/swarm/exchange/blob-interest.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'

const blob = new TestBlob(Buffer.alloc(5 * 256 * 1024, 7))
const registry = 'r'

it('hears everybody, however often one signer says something else about the same chunks', () => {
  const statements = new Map<string, ChunkStatement>()
  const nothing = (): void => undefined
  const interest = new BlobInterest(
    {
      self: 'me',
      send: () => true,
      known: (encoded) => statements.get(Buffer.from(encoded).toString()),
      verify: () => Promise.reject(new Error('all are known')),
      isBanned: () => false,
      isKnown: () => true,
      isFalse: () => false,
      misled: nothing,
      source: () => ({ lane: { fetch: () => Promise.reject(new Error('not asked')) }, report: nothing }),
      clock: () => 0,
      suggested: nothing,
      answered: nothing,
    },
    { digest: blob.digest, registry },
  )
  const say = (signer: string, index: number, hash: string): void => {
    const encoded = Buffer.from(`${signer} ${index} ${hash}`)
    const { digest } = blob
    const size = blob.bytes.length
    statements.set(encoded.toString(), {
      kind: 'claim',
      digest,
      size,
      signer,
      hashes: new Map([[index, hash]]),
      encoded,
    })
    void interest.message(signer, { type: 'more', digest, registry, indexes: [], statements: [encoded] })
  }
  const heard: string[] = []
  const ignore = (): void => undefined
  interest.subscribe({
    found: ignore,
    gained: ignore,
    left: ignore,
    stated: ({ signer }) => heard.push(signer),
    banned: ignore,
    leased: ignore,
    searched: ignore,
  })
  for (const peer of ['flooder', 'honest']) interest.ask(peer)
  for (let n = 0; n < 5_000; n++) say('flooder', n % 5, n.toString(16).padStart(64, '0'))
  for (const [index, hash] of blob.hashes.entries()) say('honest', index, hash)
  expect(heard.filter((signer) => signer === 'flooder')).toHaveLength(5)
  expect(heard.filter((signer) => signer === 'honest')).toHaveLength(5)
})
