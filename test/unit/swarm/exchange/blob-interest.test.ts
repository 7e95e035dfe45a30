import { expect, it } from 'vitest'
import type { ChunkStatement } from '../../../../src/blob/ports.ts'
import {
  BlobInterest,
  type BlobInterestComponents,
  MAX_PROVIDERS_BESIDE,
} from '../../../../src/swarm/exchange/blob-interest.ts'
import { MAX_ASKED, MAX_TOLD } from '../../../../src/swarm/protocol/wire-messages.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'

const blob = new TestBlob(Buffer.alloc(5 * 256 * 1024, 7))
const registry = 'r'

const nothing = (): void => undefined

function interestIn(
  statements: ReadonlyMap<string, ChunkStatement>,
  given: Partial<BlobInterestComponents> = {},
): BlobInterest {
  return new BlobInterest(
    {
      self: 'me',
      send: () => true,
      known: (encoded) => statements.get(Buffer.from(encoded).toString()),
      verify: () => Promise.reject(new Error('all are known')),
      isBanned: () => false,
      isKnown: () => true,
      isFalse: () => false,
      misled: nothing,
      prepare: nothing,
      source: () => ({ lane: { fetch: () => Promise.reject(new Error('not asked')) }, report: nothing }),
      clock: () => 0,
      suggested: nothing,
      answered: nothing,
      ...given,
    },
    { digest: blob.digest, registry },
  )
}

it('hears everybody, however often one signer says something else about the same chunks', () => {
  const statements = new Map<string, ChunkStatement>()
  const interest = interestIn(statements)
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
  interest.subscribe({
    found: nothing,
    gained: nothing,
    left: nothing,
    stated: ({ signer }) => heard.push(signer),
    banned: nothing,
    leased: nothing,
    searched: nothing,
  })
  for (const peer of ['flooder', 'honest']) interest.ask(peer)
  for (let n = 0; n < 5_000; n++) say('flooder', n % 5, n.toString(16).padStart(64, '0'))
  for (const [index, hash] of blob.hashes.entries()) say('honest', index, hash)
  expect(heard.filter((signer) => signer === 'flooder')).toHaveLength(5)
  expect(heard.filter((signer) => signer === 'honest')).toHaveLength(5)
})

it('gives up nobody who has nothing yet for another who may have nothing either, but at once for one that has something', () => {
  const sent: string[] = []
  let now = 0
  const send = (peer: string, { type }: { readonly type: string }): boolean => sent.push(`${type} ${peer}`) > 0
  const interest = interestIn(new Map(), { clock: () => now, send })
  const peers = Array.from({ length: MAX_ASKED }, (_, at) => `p${at}`)
  for (const peer of peers) {
    interest.ask(peer)
    void interest.message(peer, { type: 'none', digest: blob.digest, registry })
  }
  now = 1_000
  expect(interest.ask('another')).toBe(false)
  for (let at = 0; at < MAX_PROVIDERS_BESIDE; at++) expect(interest.ask(`beside ${at}`, 'provider')).toBe(true)
  expect(sent.filter((each) => each.startsWith('unwant'))).toEqual([])
  expect(interest.ask('provider', 'provider')).toBe(true)
  expect(sent.slice(-2)).toEqual(['unwant p0', 'want provider'])
  now = 3_000
  expect(interest.ask('another')).toBe(true)
  expect(sent.slice(-2)).toEqual(['unwant p1', 'want another'])
})

it('prepares for asking the first that have something, once each', () => {
  const prepared: string[] = []
  const interest = interestIn(new Map(), { prepare: (peer) => void prepared.push(peer) })
  for (const peer of ['a', 'b', 'c', 'd']) interest.ask(peer)
  const have = (peer: string): void => {
    const size = blob.bytes.length
    void interest.message(peer, { type: 'have', digest: blob.digest, registry, size, bits: undefined, statements: [] })
  }
  void interest.message('a', { type: 'none', digest: blob.digest, registry })
  for (const peer of ['b', 'b', 'c', 'd']) have(peer)
  expect(prepared).toEqual(['b', 'c'])
})

it('does not ask again for a while who turned it away, unless that one asks', () => {
  let now = 0
  const interest = interestIn(new Map(), { clock: () => now })
  const { digest } = blob
  for (let at = 0; at < MAX_ASKED; at++) interest.ask(`p${at}`)
  void interest.message('p0', { type: 'full', digest, registry })
  void interest.message('p1', { type: 'full', digest, registry })
  expect(interest.unanswered).toBe(MAX_ASKED - 2)
  expect(interest.ask('p0')).toBe(false)
  expect(interest.ask('p1', 'asker')).toBe(true)
  expect(interest.ask('another')).toBe(true)
  expect(interest.ask('yet another')).toBe(false)
  for (let at = 0; at < MAX_TOLD - MAX_ASKED; at++) expect(interest.ask(`asker ${at}`, 'asker')).toBe(true)
  expect(interest.ask('one asker more', 'asker')).toBe(false)
  void interest.message('p2', { type: 'full', digest, registry })
  now = 4_000
  expect(interest.ask('p0', 'asker')).toBe(true)
})

it('keeps those that want the same, and changes others for unknown ones only now and then: else many that begin together ask each other without end', () => {
  let now = 0
  const sent: string[] = []
  const send = (_: string, { type }: { readonly type: string }): boolean => sent.push(type) > 0
  const interest = interestIn(new Map(), { clock: () => now, send })
  const { digest } = blob
  for (let at = 0; at < MAX_ASKED; at++) {
    interest.ask(`p${at}`)
    void interest.message(`p${at}`, { type: 'none', digest, registry })
    if (at < MAX_ASKED - 2) interest.ask(`p${at}`, 'asker')
  }
  now = 3_000
  for (let at = 0; at < 50; at++) interest.ask(`early ${at}`)
  expect(sent.filter((type) => type === 'unwant')).toHaveLength(1)
  for (let turn = 0; turn < 20; turn++) {
    now += 100
    for (let at = 0; at < 50; at++) interest.ask(`${turn} ${at}`)
  }
  for (let at = 0; at < MAX_ASKED - 2; at++) expect(interest.isAsked(`p${at}`)).toBe(true)
  expect(sent.filter((type) => type === 'unwant').length).toBeLessThan(8)
})

it('gives those that asked it no place of those that are known to have something', () => {
  const interest = interestIn(new Map())
  for (let at = 0; at < MAX_TOLD; at++) expect(interest.ask(`asker ${at}`, 'asker')).toBe(true)
  expect(interest.ask('named')).toBe(false)
  for (let at = 0; at < MAX_ASKED + MAX_PROVIDERS_BESIDE; at++) {
    expect(interest.ask(`provider ${at}`, 'provider')).toBe(true)
  }
  expect(interest.ask('one provider more', 'provider')).toBe(false)
})
