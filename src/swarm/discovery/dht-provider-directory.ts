/**
 * Who has what, in the DHT. A key is a digest; its CID names it there. Owns the queue of what is announced; `stop` ends
 * what is under way. A record says that its peer had the key once: whoever asks it must take "no" for an answer.
 */
import type { PeerId } from '@libp2p/interface'
import type { KadDHT, QueryEvent } from '@libp2p/kad-dht'
import { peerIdFromString } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import { CID } from 'multiformats/cid'
import * as multihash from 'multiformats/hashes/digest'
import type { Abortable } from '../../blob/ports.ts'
import { type Digest, digestAlgorithm, digestHex } from '../../oci/digest.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import { linkSignals } from '../../util/signals.ts'
import { K, KAD_PROTOCOL } from '../node/libp2p-options.ts'
import { FULL_MESH } from '../node/member-exchange.ts'
import type { FindOptions, Members, ProviderDirectory } from '../swarm-ports.ts'
import { AnnounceQueue } from './announce-queue.ts'
import { closestTo, encodeAddProvider } from './provider-message.ts'

export interface DirectoryMetrics {
  /** @param seconds until the first provider, or until the search ended without one */
  lookedUp(found: boolean, seconds: number): void
  announced(outcome: 'sent' | 'failed'): void
}

export interface DhtProviderDirectoryComponents {
  readonly node: Pick<Members, 'self' | 'connected' | 'subscribe' | 'openStream'> & {
    readonly libp2p: {
      readonly peerId: PeerId
      readonly services: { readonly dht: KadDHT }
      getMultiaddrs(): { readonly bytes: Uint8Array }[]
    }
  }
  readonly metrics: DirectoryMetrics
  readonly clock: Clock
  readonly log: Logger
}

export interface DhtProviderDirectoryInit {
  /** How long a record is good, milliseconds. */
  readonly recordMs: number
  /** From the first member until the way to it is in the routing table, and some others may have come. */
  readonly settleMs: number
}

/** An image has about a dozen blobs, and each costs some 20 ms of CPU to announce; the rest stays with pulls. */
const RATE = { burst: 24, perSecond: 4, maxKeys: 100_000 }
const AT_ONCE = 2
const KEYS_AT_ONCE = 24
const ANNOUNCE_MS = 20_000
const FIND_MS = 10_000
/** Holders of a record know much the same: the rest of them cost more than they add. */
const ANSWERS = 2

/** Of those who hold the record of a key, so many are asked: that they all have come only since it was made is not likely. */
const ASKED_MEMBERS = 3
const GET_PROVIDERS = 'GET_PROVIDERS'
/** What is new waits so long: layers of one image are told together, and a reader has its first bytes before the processor is at this. */
const GATHER_MS = 150
/** It belongs to no walk. */
const NO_PATH = { index: 0, queued: 0, running: 0, total: 0 }

/** https://github.com/multiformats/multicodec/blob/master/table.csv */
const RAW = 0x55
const SHA2_256 = 0x12

/** What kad-dht is made of and does not offer itself. */
interface KadParts {
  readonly providers: {
    addProvider(cid: CID, peer: PeerId, options: Abortable): Promise<void>
    getProviders(cid: CID, options: Abortable): Promise<PeerId[]>
  }
  readonly network: {
    sendRequest(to: PeerId, message: object, options: Abortable & { readonly path: object }): AsyncIterable<QueryEvent>
  }
}

/** Ids of peers. */
interface Answer {
  readonly from: string
  readonly providers: readonly string[]
}

export class DhtProviderDirectory implements ProviderDirectory {
  readonly #components: DhtProviderDirectoryComponents
  readonly #queue: AnnounceQueue<Digest>
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #unsubscribe = (): void => {}
  readonly #settleMs: number
  #timer: NodeJS.Timeout | undefined
  #gathering: NodeJS.Timeout | undefined
  #settling: NodeJS.Timeout | undefined
  /** Members that came or went. */
  #turnover = 0

  constructor(components: DhtProviderDirectoryComponents, init: DhtProviderDirectoryInit) {
    this.#components = components
    this.#settleMs = init.settleMs
    this.#queue = new AnnounceQueue(
      { clock: components.clock, random: Math.random },
      { ...RATE, validityMs: init.recordMs },
    )
  }

  /** After the node has started. */
  start(): void {
    const { node } = this.#components
    const changed = (): void => {
      this.#turnover += 1
      if (node.connected.size === 1) this.#settle()
      else this.#announceNext()
    }
    this.#unsubscribe = node.subscribe({ joined: changed, left: changed })
    this.#settle()
  }

  /** Before the node stops. */
  async stop(): Promise<void> {
    this.#unsubscribe()
    this.#stopping.abort()
    clearTimeout(this.#timer)
    clearTimeout(this.#gathering)
    clearTimeout(this.#settling)
    await Promise.all(this.#running)
  }

  async *find(key: Digest, { signal, isQuick = false }: FindOptions): AsyncGenerator<string, void, void> {
    const cid = cidOf(key)
    if (cid === undefined) return
    const { node, clock, metrics, log } = this.#components
    const startedAt = clock()
    const seen = new Set([node.self])
    let answers = 0
    const noteFirst = (): void => metrics.lookedUp(seen.size > 1, (clock() - startedAt) / 1000)
    using within = linkSignals([signal, this.#stopping.signal], FIND_MS)
    try {
      if (within.signal.aborted) return
      for await (const { providers, from } of this.#answers(cid, { signal: within.signal, isQuick })) {
        for (const provider of providers) {
          if (seen.has(provider)) continue
          seen.add(provider)
          if (seen.size === 2) noteFirst()
          yield provider
        }
        if (from !== node.self && providers.some((provider) => provider !== node.self)) answers += 1
        if (answers >= ANSWERS) return
      }
    } catch (error) {
      log.debug({ digest: key, err: error }, 'a search for providers ended early')
    } finally {
      if (seen.size === 1) noteFirst()
    }
  }

  announce(key: Digest): void {
    if (cidOf(key) === undefined || !this.#queue.add(key)) return
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined
      this.#announceNext()
    }, GATHER_MS).unref()
  }

  /** Others forget it when its record expires. */
  withdraw(key: Digest): void {
    this.#queue.remove(key)
    const cid = cidOf(key)
    if (cid === undefined || this.#stopping.signal.aborted) return
    this.#track(async () => await this.#dht.cancelReprovide(cid, this.#stopping))
  }

  get #dht(): KadDHT {
    return this.#components.node.libp2p.services.dht
  }

  get #isHeldUp(): boolean {
    return this.#stopping.signal.aborted || this.#settling !== undefined
  }

  #settle(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => {
      this.#settling = undefined
      this.#announceNext()
    }, this.#settleMs).unref()
  }

  /** Nobody to tell: the queue waits for a member. */
  #announceNext(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { node } = this.#components
    while (!this.#isHeldUp && node.connected.size > 0 && this.#running.size < AT_ONCE) {
      const keys = this.#takeKeys(node.connected.size)
      if (keys.length === 0) return
      this.#track(async () => {
        await this.#announce(keys)
        setImmediate(() => this.#announceNext())
      })
    }
  }

  #takeKeys(size: number): Digest[] {
    const keys: Digest[] = []
    for (;;) {
      const next = this.#queue.next({ turnover: this.#turnover, size })
      if (next.type === 'announce') keys.push(next.key)
      if (next.type === 'wait' && keys.length === 0)
        this.#timer = setTimeout(() => this.#announceNext(), next.ms).unref()
      if (next.type !== 'announce' || keys.length === KEYS_AT_ONCE) return keys
    }
  }

  async #announce(keys: readonly Digest[]): Promise<void> {
    const { node, metrics } = this.#components
    const swarm = { turnover: this.#turnover, size: node.connected.size }
    const told = new Map<Digest, number>()
    try {
      using within = linkSignals([this.#stopping.signal], ANNOUNCE_MS)
      if (swarm.size < FULL_MESH) await this.#tellMembers(keys, told, within)
      else for (const key of keys) await this.#provide(key, told, within)
    } finally {
      for (const key of keys) {
        if (told.has(key)) this.#queue.done(key, swarm)
        else this.#queue.failed(key)
        metrics.announced(told.has(key) ? 'sent' : 'failed')
      }
    }
  }

  /** Connected with everybody: the closest agents are known, and each gets all that is for it in one stream. */
  async #tellMembers(keys: readonly Digest[], told: Map<Digest, number>, { signal }: Abortable): Promise<void> {
    const { node } = this.#components
    const provider = { id: node.self, addresses: node.libp2p.getMultiaddrs().map(({ bytes }) => bytes) }
    const forMember = new Map<string, { key: Digest; message: Uint8Array }[]>()
    for (const key of keys) {
      const cid = cidOf(key)
      if (cid === undefined) continue
      await this.#recordOwn(cid, { signal })
      const message = encodeAddProvider(cid.multihash.bytes, provider)
      for (const id of closestTo(cid.multihash.bytes, node.connected.keys(), K)) {
        const messages = forMember.get(id) ?? []
        messages.push({ key, message })
        forMember.set(id, messages)
      }
    }
    const tell = async ([id, messages]: [string, { key: Digest; message: Uint8Array }[]]): Promise<void> => {
      await this.#send(
        id,
        messages.map(({ message }) => message),
        { signal },
      )
      for (const { key } of messages) told.set(key, (told.get(key) ?? 0) + 1)
    }
    await Promise.allSettled([...forMember].map(tell))
  }

  async #send(id: string, messages: Uint8Array[], { signal }: Abortable): Promise<void> {
    const stream = await this.#components.node.openStream(id, KAD_PROTOCOL, { signal })
    try {
      await lpStream(stream).writeV(messages, { signal })
      await stream.close({ signal })
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error('not sent', { cause: error }))
      throw error
    }
  }

  async *#answers(cid: CID, { signal, isQuick }: FindOptions): AsyncGenerator<Answer, void, void> {
    const { node } = this.#components
    if (isQuick === true && node.connected.size < FULL_MESH) {
      yield* this.#askMembers(cid, { signal })
      return
    }
    for await (const event of this.#dht.findProviders(cid, { signal })) {
      if (event.name === 'PEER_RESPONSE') yield answerOf(event)
    }
  }

  /** Connected with everybody: who holds the records is known, and some of them are asked without a walk to find them. */
  async *#askMembers(cid: CID, options: Abortable): AsyncGenerator<Answer, void, void> {
    const { node } = this.#components
    const own = await this.#parts.providers.getProviders(cid, options)
    yield { from: node.self, providers: own.map(String) }
    const holders = closestTo(cid.multihash.bytes, node.connected.keys(), K)
    const first = Math.floor(Math.random() * holders.length)
    const chosen = [...holders, ...holders].slice(first, first + Math.min(ASKED_MEMBERS, holders.length))
    const asked = new Map(chosen.map((id) => [id, this.#askMember(id, cid, options)]))
    while (asked.size > 0) {
      const answer = await Promise.race(asked.values())
      asked.delete(answer.from)
      yield answer
    }
  }

  /** Without an answer, it knows nobody. */
  async #askMember(id: string, cid: CID, options: Abortable): Promise<Answer> {
    const request = { type: GET_PROVIDERS, key: cid.multihash.bytes, closer: [], providers: [] }
    const events = this.#parts.network.sendRequest(peerIdFromString(id), request, { ...options, path: NO_PATH })
    try {
      for await (const event of events) if (event.name === 'PEER_RESPONSE') return { ...answerOf(event), from: id }
    } catch (error) {
      this.#components.log.debug({ peer: id, err: error }, 'a member could not be asked for providers')
    }
    return { from: id, providers: [] }
  }

  get #parts(): KadParts {
    return this.#dht as unknown as KadParts
  }

  /** So that this agent names itself when it is asked. kad-dht keeps own records among all others. */
  async #recordOwn(cid: CID, { signal }: Abortable): Promise<void> {
    await this.#parts.providers.addProvider(cid, this.#components.node.libp2p.peerId, { signal })
  }

  async #provide(key: Digest, told: Map<Digest, number>, { signal }: Abortable): Promise<void> {
    const cid = cidOf(key)
    if (cid === undefined) return
    for await (const event of this.#dht.provide(cid, { signal })) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER')
        told.set(key, (told.get(key) ?? 0) + 1)
    }
  }

  #track(work: () => Promise<void>): void {
    const tracked = work()
      .catch((error: unknown) => this.#components.log.debug({ err: error }, 'a key is not announced'))
      .finally(() => this.#running.delete(tracked))
    this.#running.add(tracked)
  }
}

/** Undefined for what the DHT is not used for. */
function cidOf(key: Digest): CID | undefined {
  if (digestAlgorithm(key) !== 'sha256') return undefined
  return CID.createV1(RAW, multihash.create(SHA2_256, Buffer.from(digestHex(key), 'hex')))
}

function answerOf({ from, providers }: { from: PeerId; providers: readonly { id: PeerId }[] }): Answer {
  return { from: from.toString(), providers: providers.map(({ id }) => id.toString()) }
}
