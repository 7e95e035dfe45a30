/**
 * What libp2p keeps: addresses of peers, and the provider records that other agents put here. In memory only, bounded,
 * and indexed by what is asked for: the general store of libp2p reads everything it has for each lookup.
 *
 * Records are in the order in which they were put, so the oldest is the first to expire. Full means that the oldest
 * goes; no peer can hold more than its share.
 */
import { NotFoundError } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Libp2pInit } from 'libp2p'
import type { Clock } from '../../util/clock.ts'

export type Datastore = NonNullable<Libp2pInit['datastore']>
type Key = Parameters<Datastore['put']>[0]
type Pair = { readonly key: Key; readonly value: Uint8Array }
type Query = Parameters<Datastore['query']>[0]

/** A usual one has some 500. */
const MAX_PEER_BYTES = 8192
const PEERS = '/peers/'
const PROVIDERS = '/dht/provider'
const PROVIDER_KEY = /^\/dht\/provider\/([a-z2-7]+)\/([A-Za-z0-9]+)$/

export interface RecordStoreInit {
  readonly validityMs: number
  readonly maxPeers: number
  readonly maxRecords: number
  readonly maxRecordsPerPeer: number
  /** How many providers of one key are told at once; chosen at random, so that all of them get asked. */
  readonly maxProvidersTold: number
}

interface ProviderRecord {
  readonly pair: Pair
  readonly content: string
  readonly provider: string
  readonly expiresAt: number
}

export class RecordStore implements Datastore {
  readonly #clock: Clock
  readonly #init: RecordStoreInit
  readonly #kept = new Set<string>()
  readonly #peers = new Map<string, Pair>()
  /** By key as text. */
  readonly #records = new Map<string, ProviderRecord>()
  readonly #byContent = new Map<string, Set<ProviderRecord>>()
  readonly #byProvider = new Map<string, Set<ProviderRecord>>()

  constructor(components: { clock: Clock }, init: RecordStoreInit) {
    this.#clock = components.clock
    this.#init = init
  }

  /** Provider records that are held, own ones included. */
  get recordCount(): number {
    return this.#records.size
  }

  /** The addresses of this peer are not dropped, however many others come up, until `release`. */
  keep(id: string): void {
    this.#kept.add(peerKey(id))
  }

  release(id: string): void {
    this.#kept.delete(peerKey(id))
  }

  put(key: Key, value: Uint8Array): Key {
    const text = key.toString()
    const [, content, provider] = PROVIDER_KEY.exec(text) ?? []
    if (content !== undefined && provider !== undefined) this.#putRecord({ key, value }, content, provider)
    else if (text.startsWith(PEERS)) this.#putPeer({ key, value }, text)
    return key
  }

  get(key: Key): Uint8Array {
    const text = key.toString()
    const value = this.#peers.get(text)?.value ?? this.#records.get(text)?.pair.value
    if (value === undefined) throw new NotFoundError('no such record')
    return value
  }

  has(key: Key): boolean {
    const text = key.toString()
    return this.#peers.has(text) || this.#records.has(text)
  }

  delete(key: Key): void {
    const text = key.toString()
    this.#peers.delete(text)
    const record = this.#records.get(text)
    if (record !== undefined) this.#drop(record)
  }

  *query(query: Query): Generator<Pair> {
    for (const pair of this.#find(query.prefix ?? '')) {
      if (query.filters?.every((filter) => filter(pair)) ?? true) yield pair
    }
  }

  *queryKeys(query: Parameters<Datastore['queryKeys']>[0]): Generator<Key> {
    for (const { key } of this.#find(query.prefix ?? '')) {
      if (query.filters?.every((filter) => filter(key)) ?? true) yield key
    }
  }

  async *putMany(source: Parameters<Datastore['putMany']>[0]): AsyncGenerator<Key> {
    for await (const { key, value } of source) yield this.put(key, value)
  }

  async *getMany(source: Parameters<Datastore['getMany']>[0]): AsyncGenerator<Pair> {
    for await (const key of source) yield { key, value: this.get(key) }
  }

  async *deleteMany(source: Parameters<Datastore['deleteMany']>[0]): AsyncGenerator<Key> {
    for await (const key of source) {
      this.delete(key)
      yield key
    }
  }

  batch(): ReturnType<Datastore['batch']> {
    const steps: (() => void)[] = []
    return {
      put: (key, value) => void steps.push(() => this.put(key, value)),
      delete: (key) => void steps.push(() => this.delete(key)),
      commit: () => {
        for (const step of steps.splice(0)) step()
      },
    }
  }

  #find(prefix: string): Pair[] {
    if (prefix === PEERS) return [...this.#peers.values()]
    this.#dropExpired()
    if (prefix === PROVIDERS) return [...this.#records.values()].map(({ pair }) => pair)
    if (!prefix.startsWith(`${PROVIDERS}/`)) return []
    const told = [...(this.#byContent.get(prefix.slice(PROVIDERS.length + 1)) ?? [])]
      // A provider without an address makes libp2p fail the whole answer.
      .filter(({ provider }) => this.#peers.has(peerKey(provider)))
    return sample(told, this.#init.maxProvidersTold).map(({ pair }) => pair)
  }

  #putPeer(pair: Pair, text: string): void {
    // Peers add to their own addresses as they like.
    if (pair.value.length > MAX_PEER_BYTES) return
    this.#peers.delete(text)
    this.#peers.set(text, pair)
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= this.#init.maxPeers + this.#kept.size) break
      if (!this.#kept.has(oldest)) this.#peers.delete(oldest)
    }
  }

  #putRecord(pair: Pair, content: string, provider: string): void {
    const before = this.#records.get(pair.key.toString())
    if (before !== undefined) this.#drop(before)
    this.#dropExpired()
    const ofProvider = this.#byProvider.get(provider) ?? new Set()
    const [oldestOwn] = ofProvider
    if (oldestOwn !== undefined && ofProvider.size >= this.#init.maxRecordsPerPeer) this.#drop(oldestOwn)
    const [oldest] = this.#records.values()
    if (oldest !== undefined && this.#records.size >= this.#init.maxRecords) this.#drop(oldest)

    const record = { pair, content, provider, expiresAt: this.#clock() + this.#init.validityMs }
    this.#records.set(pair.key.toString(), record)
    addTo(this.#byContent, content, record)
    addTo(this.#byProvider, provider, record)
  }

  #dropExpired(): void {
    for (const record of this.#records.values()) {
      if (record.expiresAt > this.#clock()) break
      this.#drop(record)
    }
  }

  #drop(record: ProviderRecord): void {
    this.#records.delete(record.pair.key.toString())
    removeFrom(this.#byContent, record.content, record)
    removeFrom(this.#byProvider, record.provider, record)
  }
}

function addTo(index: Map<string, Set<ProviderRecord>>, key: string, record: ProviderRecord): void {
  const found = index.get(key)
  if (found === undefined) index.set(key, new Set([record]))
  else found.add(record)
}

function removeFrom(index: Map<string, Set<ProviderRecord>>, key: string, record: ProviderRecord): void {
  const found = index.get(key)
  if (found?.delete(record) === true && found.size === 0) index.delete(key)
}

function peerKey(id: string): string {
  return `${PEERS}${peerIdFromString(id).toCID().toString()}`
}

/** At most `count` of them, by a partial shuffle. */
function sample<T>(all: T[], count: number): T[] {
  if (all.length <= count) return all
  for (let i = 0; i < count; i++) {
    const other = i + Math.floor(Math.random() * (all.length - i))
    const swapped = all[other]
    const here = all[i]
    if (swapped !== undefined && here !== undefined) [all[i], all[other]] = [swapped, here]
  }
  return all.slice(0, count)
}
