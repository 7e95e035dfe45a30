/**
 * This agent among the others: the libp2p node, who is connected, and what it takes to get and stay connected.
 * A peer is a member when it has proved itself in `membership-encrypter`; everybody else is never seen here.
 *
 * Created, started and stopped by `agent.ts`; `handle` is called between creation and start.
 */
import type { Connection, IdentifyResult, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Abortable } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import type { Clock } from '../../util/clock.ts'
import type { HostPort } from '../../util/host-port.ts'
import type { Logger } from '../../util/logger.ts'
import { linkSignals } from '../../util/signals.ts'
import type { Identity } from '../membership/identity.ts'
import { MemberTable } from '../membership/member-table.ts'
import { membershipEncrypter } from '../membership/membership-encrypter.ts'
import {
  DEFAULT_PORT,
  formatMultiaddr,
  isLoopback,
  type PeerAddress,
  parseMultiaddr,
  withoutId,
} from '../membership/peer-address.ts'
import { type Refusal, Refusals } from '../membership/refusals.ts'
import { SignerKeys } from '../membership/signer-keys.ts'
import { OPEN_KEY, type SwarmKey } from '../membership/swarm-secret.ts'
import type { Member, MemberEvents, Members, OwnLane } from '../swarm-ports.ts'
import { Bootstrap, type DialOutcome } from './bootstrap.ts'
import { expandAddress, type Resolve } from './bootstrap-address.ts'
import { DuplicateConnections } from './duplicate-connections.ts'
import { boundAnswers, MAX_PROVIDERS_TOLD } from './kad-bounds.ts'
import type { KnownPeers } from './known-peers.ts'
import { libp2pOptions, type SwarmLibp2p } from './libp2p-options.ts'
import { ListeningAddresses } from './listening-addresses.ts'
import { MAX_CONNECTIONS, MemberExchange } from './member-exchange.ts'
import { RecordStore } from './record-store.ts'
import type { SwarmTiming } from './swarm-timing.ts'

export interface SwarmNodeComponents {
  readonly log: Logger
  readonly clock: Clock
  readonly identity: Identity
  /** Asked at each handshake. */
  readonly ownLane: () => OwnLane
  readonly isBanned: (id: string) => boolean
  readonly knownPeers: KnownPeers
  readonly resolve: Resolve
}

export interface SwarmNodeInit {
  readonly listen: HostPort
  /** Under which others reach this agent: multiaddrs, `host` or `host:port`. Empty: what it is bound to. */
  readonly advertise: readonly string[]
  /** Of the swarm's secrets; empty for none. */
  readonly keys: readonly SwarmKey[]
  /** Ids of the only peers that may be members; empty for no such list. */
  readonly allowPeers: readonly string[]
  /** Beyond loopback without a secret and without a list. */
  readonly open: boolean
  readonly bootstrap: readonly string[]
  readonly mdns: boolean
  readonly zone: string
  readonly version: string
  readonly timing: SwarmTiming
}

/** What a swarm costs at most: connections, each with some 100 KiB, and records of peers that came and went. */
const RECORDS = { maxPeers: 2048, maxRecords: 32_768, maxRecordsPerPeer: 8192, maxProvidersTold: MAX_PROVIDERS_TOLD }
const STREAMS_PER_PEER = 64

export class SwarmNode implements Members {
  readonly self: string
  readonly #components: SwarmNodeComponents
  readonly #init: SwarmNodeInit
  readonly #log: Logger
  readonly #members: MemberTable
  readonly #records: RecordStore
  readonly #handlers = new Map<string, (stream: Stream, member: Member) => void>()
  readonly #refusals: Refusals
  readonly #allowPeers: ReadonlySet<string>
  readonly #bootstrap: Bootstrap
  readonly #exchange: MemberExchange
  readonly #duplicates: DuplicateConnections
  readonly #signerKeys = new SignerKeys()
  readonly #listening = new ListeningAddresses()
  readonly #stopping = new AbortController()
  #keys: readonly SwarmKey[]
  #libp2p: SwarmLibp2p | undefined
  #bound: HostPort | undefined
  #advertisedHosts: readonly string[] = []

  constructor(components: SwarmNodeComponents, init: SwarmNodeInit) {
    const { log, clock, identity, resolve } = components
    this.#components = components
    this.#init = init
    this.#log = log
    this.#refusals = new Refusals({ log, clock })
    this.#keys = init.keys
    this.#allowPeers = new Set(init.allowPeers)
    this.self = peerIdFromPrivateKey(identity).toString()
    this.#members = new MemberTable({ clock, log })
    this.#records = new RecordStore({ clock }, { ...RECORDS, validityMs: init.timing.recordMs })
    this.#records.keep(this.self)
    this.#members.subscribe({
      joined: ({ id }) => this.#records.keep(id),
      left: ({ id }) => this.#records.release(id),
    })
    this.#duplicates = new DuplicateConnections(
      { connectionsOf: (id) => this.#running().getConnections(id) },
      { self: this.self, graceMs: init.timing.duplicateMs },
    )
    this.#exchange = new MemberExchange(
      {
        log,
        members: this,
        addressesOf: (id, options) => this.#addressesOf(id, options),
        connectAt: (id, addresses, { signal }) =>
          this.#running().dial(
            addresses.map((address) => multiaddr(`${withoutId(address)}/p2p/${id}`)),
            { signal },
          ),
      },
      { askMs: init.timing.askMs, answerMs: init.timing.dialMs },
    )
    this.#bootstrap = new Bootstrap(
      {
        log,
        resolve,
        members: this,
        lastRun: components.knownPeers,
        dial: (address, options) => this.#dial(address, options),
      },
      { entries: init.bootstrap, timing: init.timing },
    )
  }

  /** Where it listens; empty before `start`. */
  get addresses(): readonly HostPort[] {
    return this.#bound === undefined ? [] : [this.#bound]
  }

  /** IP addresses of `advertise`; empty before `start`. */
  get advertisedHosts(): readonly string[] {
    return this.#advertisedHosts
  }

  get connected(): ReadonlyMap<string, Member> {
    return this.#members.connected
  }

  /** Handshakes that came to nothing since the start, by reason. */
  get refusals(): Readonly<Record<Refusal, number>> {
    return this.#refusals.counts
  }

  /** Where the peer says that it listens, `host:port`; undefined until it did. */
  listeningAddress(id: string): string | undefined {
    return this.#listening.of(id)
  }

  /** Provider records held for the swarm. */
  get recordCount(): number {
    return this.#records.recordCount
  }

  /** For `DhtProviderDirectory`. @throws ShoalError STOPPING when it does not run */
  get libp2p(): SwarmLibp2p {
    return this.#running()
  }

  /** @throws the socket's error when the address cannot be bound */
  async start(): Promise<void> {
    const { clock, identity, ownLane } = this.#components
    const { version, zone, timing } = this.#init
    const encrypter = membershipEncrypter(
      {
        clock,
        ownLane,
        keys: () => (this.#keys.length > 0 ? this.#keys : [OPEN_KEY]),
        mayJoin: (id) => this.#mayJoin(id),
        admit: (peer) => this.#members.admit(peer),
        refusals: this.#refusals,
      },
      { version, zone, helloMs: timing.helloMs },
    )
    const listen = this.#listenAddress()
    const advertise = await this.#advertised(listen.port)
    this.#advertisedHosts = advertise.flatMap((address) => parseMultiaddr(address)?.host ?? [])
    const libp2p = await createLibp2p(
      libp2pOptions({
        identity,
        encrypter,
        datastore: this.#records,
        listen,
        advertise,
        discovery: await this.#discovery(),
        isAllowed: (id) => this.#mayJoin(id),
        mayDial: (host) => !this.#isLocal || isLoopback(host),
        maxConnections: MAX_CONNECTIONS,
        upgradeMs: timing.helloMs * 2,
        dialMs: timing.dialMs,
        dht: timing,
      }),
    )
    boundAnswers(libp2p.services.dht)
    this.#libp2p = libp2p
    libp2p.addEventListener('connection:open', ({ detail }) => this.#opened(detail))
    libp2p.addEventListener('connection:close', ({ detail }) => this.#closed(detail))
    libp2p.addEventListener('peer:identify', ({ detail }) => this.#identified(detail))
    if (this.#init.mdns) libp2p.addEventListener('peer:discovery', ({ detail }) => this.#discovered(detail.id))
    for (const [protocol, handler] of this.#handlers) await this.#register(libp2p, protocol, handler)
    this.#exchange.start()
    await libp2p.start()
    this.#bound = { host: listen.host, port: libp2p.services.ownAddresses.boundPort() }
    await this.#components.knownPeers.load()
    this.#bootstrap.start()
  }

  /**
   * Of the swarm's secrets, as in `SwarmNodeInit`: at least one if there was one before. Who is connected by a secret that is
   * none any more is let go of, and may come again by another one.
   */
  setKeys(keys: readonly SwarmKey[]): void {
    this.#keys = keys
    const closing = this.#members.keepOnly(keys.length > 0 ? keys : [OPEN_KEY])
    for (const [id, connections] of closing) {
      const all = this.#libp2p?.getConnections(peerIdFromString(id)) ?? []
      for (const one of all) if (connections.includes(one.id)) one.abort(new Error('its secret is none any more'))
      if (!this.connected.has(id)) this.#reconnect(peerIdFromString(id))
    }
  }

  /** As in `SwarmNodeInit`. */
  setBootstrap(entries: readonly string[]): void {
    this.#bootstrap.setEntries(entries)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new ShoalError('STOPPING', 'the agent is stopping'))
    this.#exchange.stop()
    this.#duplicates.stop()
    await this.#bootstrap.stop()
    await this.#libp2p?.stop()
    await this.#components.knownPeers.close()
  }

  byFingerprint(fingerprint: string, id?: string): Member | undefined {
    return this.#members.byFingerprint(fingerprint, id)
  }

  subscribe(events: MemberEvents): () => void {
    return this.#members.subscribe(events)
  }

  async connect(id: string, { signal }: Abortable): Promise<Member> {
    const known = this.connected.get(id)
    if (known !== undefined) return known
    using within = linkSignals([signal, this.#stopping.signal], this.#init.timing.dialMs)
    try {
      await this.#running().dial(peerIdFromString(id), { signal: within.signal })
    } catch (error) {
      throw unavailable(error)
    }
    const member = this.connected.get(id)
    if (member === undefined) throw unavailable(undefined)
    return member
  }

  async disconnect(id: string): Promise<void> {
    const connections = this.#libp2p?.getConnections() ?? []
    for (const connection of connections)
      if (connection.remotePeer.toString() === id) connection.abort(new Error('this peer is shut out'))
  }

  async openStream(id: string, protocol: string, options: Abortable): Promise<Stream> {
    await this.connect(id, options)
    using within = linkSignals([options.signal, this.#stopping.signal], this.#init.timing.dialMs)
    try {
      return await this.#running().dialProtocol(peerIdFromString(id), protocol, { signal: within.signal })
    } catch (error) {
      throw unavailable(error)
    }
  }

  handle(protocol: string, handler: (stream: Stream, member: Member) => void): void {
    if (this.#libp2p !== undefined) throw new ShoalError('INTERNAL', 'too late to handle a protocol')
    this.#handlers.set(protocol, handler)
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    return await this.#components.identity.sign(bytes)
  }

  async verify(signer: string, bytes: Uint8Array, signature: Uint8Array): Promise<boolean> {
    return this.#signerKeys.verify(signer, bytes, signature)
  }

  #running(): SwarmLibp2p {
    if (this.#libp2p === undefined) throw new ShoalError('STOPPING', 'the swarm is not running')
    return this.#libp2p
  }

  #mayJoin(id: string): boolean {
    if (this.#allowPeers.size > 0 && !this.#allowPeers.has(id)) return false
    return !this.#components.isBanned(id)
  }

  /** Whoever reaches an agent without a secret and without a list is a member, or is reached by it: nobody but this host may. */
  get #isLocal(): boolean {
    const { allowPeers, open } = this.#init
    return this.#keys.length === 0 && allowPeers.length === 0 && !open
  }

  #listenAddress(): PeerAddress {
    const { listen } = this.#init
    if (!this.#isLocal || isLoopback(listen.host)) return { ...listen, id: undefined }
    this.#log.warn(
      {},
      'no swarm beyond this host: set swarm.secretFile (or swarm.allowPeers, or swarm.open) to share with other hosts',
    )
    return { host: listen.host.includes(':') ? '::1' : '127.0.0.1', port: listen.port, id: undefined }
  }

  /** Resolved here: peers take no names from each other. */
  async #advertised(listenPort: number): Promise<string[]> {
    const { resolve } = this.#components
    using within = linkSignals([this.#stopping.signal], this.#init.timing.dialMs)
    const expanded = this.#init.advertise.map(async (text) => {
      try {
        return await expandAddress(text, { resolve, defaultPort: listenPort || DEFAULT_PORT }, within)
      } catch (error) {
        this.#log.warn({ advertise: text, err: error }, 'an address of swarm.advertise is not resolved and left out')
        return []
      }
    })
    return (await Promise.all(expanded)).flat().map((address) => formatMultiaddr({ ...address, id: undefined }))
  }

  /** Loaded on demand: it costs memory that most agents have no use for. */
  async #discovery(): Promise<Parameters<typeof libp2pOptions>[0]['discovery']> {
    if (!this.#init.mdns) return []
    const { mdns } = await import('@libp2p/mdns')
    return [mdns({ serviceTag: '_shoal._udp.local' })]
  }

  async #register(
    libp2p: SwarmLibp2p,
    protocol: string,
    handler: (stream: Stream, member: Member) => void,
  ): Promise<void> {
    await libp2p.handle(
      protocol,
      (stream, connection) => {
        const member = this.connected.get(connection.remotePeer.toString())
        if (member === undefined) stream.abort(new Error('no member'))
        else handler(stream, member)
      },
      { maxInboundStreams: STREAMS_PER_PEER, maxOutboundStreams: STREAMS_PER_PEER },
    )
  }

  #opened(connection: Connection): void {
    const id = connection.remotePeer.toString()
    const address = withoutId(connection.remoteAddr)
    // it may have been shut out since the handshake
    if (!this.#mayJoin(id) || !this.#members.opened({ connectionId: connection.id, id, address })) {
      connection.abort(new Error('not a member'))
      return
    }
    this.#duplicates.check(connection.remotePeer)
  }

  /** The address that was seen to work comes first. */
  #identified({ peerId, listenAddrs, connection }: IdentifyResult): void {
    const host = parseMultiaddr(connection.remoteAddr.toString())?.host
    const texts = listenAddrs.map(withoutId)
    this.#listening.note(peerId.toString(), texts, withoutId(connection.remoteAddr))
    const isSeen = (text: string): number => (parseMultiaddr(text)?.host === host ? 0 : 1)
    this.#components.knownPeers.note(
      peerId.toString(),
      texts.sort((a, b) => isSeen(a) - isSeen(b)),
    )
  }

  #closed(connection: Connection): void {
    const id = connection.remotePeer.toString()
    this.#members.closed({ connectionId: connection.id, id })
    if (!this.connected.has(id)) this.#forgetRoute(connection.remotePeer)
  }

  /** kad-dht asks peers that are gone again and again, and each of them delays the end of a lookup. */
  #forgetRoute(peer: PeerId): void {
    const { routingTable } = this.#running().services.dht as unknown as {
      routingTable: { remove(peer: PeerId): Promise<void> }
    }
    routingTable.remove(peer).catch((error: unknown) => this.#log.debug({ err: error }, 'route not removed'))
  }

  async #addressesOf(id: string, { signal }: Abortable): Promise<string[]> {
    const { addresses } = await this.#running().peerStore.get(peerIdFromString(id), { signal })
    return addresses.map(({ multiaddr }) => withoutId(multiaddr))
  }

  #discovered(peer: PeerId): void {
    this.#reconnect(peer)
  }

  #reconnect(peer: PeerId): void {
    this.connect(peer.toString(), this.#stopping).catch((error: unknown) =>
      this.#log.debug({ peer: peer.toString(), err: error }, 'peer not reached'),
    )
  }

  async #dial(address: Multiaddr, { signal }: Abortable): Promise<DialOutcome> {
    try {
      const { remotePeer } = await this.#running().dial(address, { signal })
      return { id: remotePeer.toString() }
    } catch (error) {
      // Addresses without an id may turn out to be this agent's own.
      if (error instanceof Error && error.name === 'InvalidPeerIdError') return { id: this.self }
      throw error
    }
  }
}

function unavailable(cause: unknown): ShoalError {
  return new ShoalError('PEER_UNAVAILABLE', 'the peer cannot be reached', { cause })
}
