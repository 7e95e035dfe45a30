import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ephemeralIdentity } from '../../../../src/swarm/membership/identity.ts'
import { RecordStore } from '../../../../src/swarm/node/record-store.ts'

type Key = Parameters<RecordStore['put']>[0]

const BOUNDS = { validityMs: 1_000, maxPeers: 4, maxRecords: 20, maxRecordsPerPeer: 8, maxProvidersTold: 3 }

let ids: string[]
let now: number
let store: RecordStore

beforeAll(async () => {
  ids = await Promise.all(
    Array.from({ length: 8 }, async () => peerIdFromPrivateKey(await ephemeralIdentity()).toString()),
  )
})
beforeEach(() => {
  now = 0
  store = new RecordStore({ clock: () => now }, BOUNDS)
})

function id(index: number): string {
  return ids[index] ?? ''
}

/** libp2p's keys are looked at as text only. */
function keyOf(text: string): Key {
  return { toString: () => text } as Key
}

function provide(content: string, provider: number): void {
  store.put(keyOf(`/dht/provider/${content}/${id(provider)}`), Uint8Array.of(1))
}

async function know(peer: number): Promise<void> {
  const { peerIdFromString } = await import('@libp2p/peer-id')
  store.put(keyOf(`/peers/${peerIdFromString(id(peer)).toCID().toString()}`), Uint8Array.of(2))
}

function providersOf(content: string): string[] {
  return [...store.query({ prefix: `/dht/provider/${content}` })].map(
    ({ key }) => key.toString().split('/').at(-1) ?? '',
  )
}

describe('the store of records', () => {
  it('tells the providers of a key, and only those', async () => {
    await Promise.all([know(1), know(2)])
    provide('aa', 1)
    provide('aa', 2)
    provide('aab', 1)
    expect(providersOf('aa').sort()).toEqual([id(1), id(2)].sort())
    expect(providersOf('zz')).toEqual([])
  })

  it('tells no provider without an address: libp2p would fail the whole answer', async () => {
    await know(1)
    provide('aa', 1)
    provide('aa', 2)
    expect(providersOf('aa')).toEqual([id(1)])
  })

  it('drops records when they expire, and keeps those announced again', async () => {
    await Promise.all([know(1), know(2)])
    provide('aa', 1)
    provide('aa', 2)
    now = 600
    provide('aa', 1)
    now = 1_100
    expect(providersOf('aa')).toEqual([id(1)])
    now = 1_700
    expect(providersOf('aa')).toEqual([])
    expect(store.recordCount).toBe(0)
  })

  it('gives no peer more than its share, and drops its oldest record first', async () => {
    await know(1)
    for (let i = 0; i < 100; i++) provide(`k${'abcdefghij'[i % 10]}${'abcdefghij'[Math.floor(i / 10)]}`, 1)
    expect(store.recordCount).toBe(8)
    expect(providersOf('kjj')).toEqual([id(1)])
    expect(providersOf('kaa')).toEqual([])
  })

  it('holds a bounded number in all', () => {
    for (let peer = 1; peer < 8; peer++) {
      for (const key of 'abcdefgh') provide(key, peer)
    }
    expect(store.recordCount).toBe(20)
  })

  it('tells some of many providers, not always the same', async () => {
    const all = new RecordStore({ clock: () => now }, { ...BOUNDS, maxPeers: 100 })
    store = all
    for (let peer = 1; peer < 8; peer++) {
      await know(peer)
      provide('aa', peer)
    }
    const told = new Set<string>()
    for (let i = 0; i < 200; i++) {
      const some = providersOf('aa')
      expect(new Set(some).size).toBe(3)
      for (const provider of some) told.add(provider)
    }
    expect(told.size).toBe(7)
  })

  it('forgets the peer that was seen longest ago, but none that is to be kept', async () => {
    store.keep(id(0))
    for (let peer = 0; peer < 8; peer++) await know(peer)
    const known = [...store.queryKeys({ prefix: '/peers/' })].map(String)
    const { peerIdFromString } = await import('@libp2p/peer-id')
    expect(known).toEqual([0, 4, 5, 6, 7].map((peer) => `/peers/${peerIdFromString(id(peer)).toCID().toString()}`))
  })

  it('keeps nothing but peers and provider records', () => {
    const key = keyOf('/dht/record/anything')
    store.put(key, new Uint8Array(1_000))
    expect(store.has(key)).toBe(false)
    expect(() => store.get(key)).toThrow(expect.objectContaining({ name: 'NotFoundError' }))
  })

  it('takes no peer with addresses without end, and keeps what it knew of it', async () => {
    await know(1)
    const { peerIdFromString } = await import('@libp2p/peer-id')
    const key = keyOf(`/peers/${peerIdFromString(id(1)).toCID().toString()}`)
    store.put(key, new Uint8Array(100_000))
    expect(store.get(key)).toEqual(Uint8Array.of(2))
  })

  it('removes what is withdrawn', async () => {
    await know(1)
    provide('aa', 1)
    store.delete(keyOf(`/dht/provider/aa/${id(1)}`))
    expect(providersOf('aa')).toEqual([])
    expect(store.recordCount).toBe(0)
  })
})
