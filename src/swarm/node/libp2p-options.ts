/** How libp2p is set up for a swarm: what is left out, and the limits, each with its reason. */
import type { NoiseComponents } from '@chainsafe/libp2p-noise'
import { type Identify, identify } from '@libp2p/identify'
import type { ConnectionEncrypter, PeerId, PrivateKey, Startable } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p, Libp2pInit, Libp2pOptions } from 'libp2p'
import type { HostPort } from '../../util/host-port.ts'
import {
  formatMultiaddr,
  isLoopback,
  isNumericMultiaddr,
  parseMultiaddr,
  withoutId,
} from '../membership/peer-address.ts'
import { silentLibp2pLog } from './libp2p-log.ts'
import type { Datastore } from './record-store.ts'
import { sendFewWindowUpdates } from './window-updates.ts'

type Discovery = NonNullable<Libp2pInit['peerDiscovery']>[number]
/** What libp2p hands to its parts. */
type Components = Parameters<Discovery>[0]

/** Agents that hold a provider record, and the size of a bucket. 2.7 times cheaper to announce than libp2p's 20. */
export const K = 8
export const KAD_PROTOCOL = '/shoal/kad/1'

/** libp2p starts its lookups of itself, and of random ids, when it starts: what finds the other agents. */
export interface DhtTiming {
  readonly initialQuerySelfMs: number
  readonly querySelfMs: number
  readonly requestMs: number
}

export interface Libp2pParts {
  readonly identity: PrivateKey
  readonly datastore: Datastore
  readonly listen: HostPort
  /** Multiaddrs. */
  readonly advertise: readonly string[]
  readonly encrypter: (components: NoiseComponents) => ConnectionEncrypter
  readonly discovery: readonly Discovery[]
  readonly isAllowed: (id: string) => boolean
  /** Whoever answers at the address may become a member, if this agent goes there. */
  readonly mayDial: (host: string) => boolean
  readonly maxConnections: number
  readonly upgradeMs: number
  readonly dialMs: number
  readonly dht: DhtTiming
}

export type SwarmServices = { dht: KadDHT; identify: Identify; ping: Ping; ownAddresses: OwnAddresses }
export type SwarmLibp2p = Libp2p<SwarmServices>

/** A dead host is noticed by the kernel after this and ten seconds more, without a timer in this process. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000, noDelay: true }

/** Longest time a timer can have: kad-dht's own re-announcing is not used, see `announce-queue.ts`. */
const NEVER = 2 ** 31 - 1

const STREAM_WRITE_BUFFER = 4 * 1024 * 1024

export function libp2pOptions(parts: Libp2pParts): Libp2pOptions<SwarmServices> {
  sendFewWindowUpdates()
  const denied = (peer: PeerId): boolean => !parts.isAllowed(peer.toString())
  return {
    start: false,
    privateKey: parts.identity,
    nodeInfo: { name: 'shoal', version: '1', userAgent: 'shoal' },
    logger: silentLibp2pLog,
    datastore: parts.datastore,
    addresses: {
      listen: [formatMultiaddr({ ...parts.listen, id: undefined })],
      announce: [...parts.advertise],
      announceFilter: reachable,
    },
    transports: [
      // A quiet connection is a healthy one: without this it would be closed after two minutes.
      tcp({
        inboundSocketInactivityTimeout: 0,
        outboundSocketInactivityTimeout: 0,
        dialOpts: KEEP_ALIVE,
        listenOpts: KEEP_ALIVE,
      }),
    ],
    connectionEncrypters: [parts.encrypter],
    streamMuxers: [
      // The kernel keeps the connection alive; an unbounded write buffer belongs to a reader that does not read.
      yamux({ enableKeepAlive: false, streamOptions: { maxWriteBufferLength: STREAM_WRITE_BUFFER } }),
    ],
    peerDiscovery: [...parts.discovery],
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: parts.maxConnections,
      // A fleet that starts at once may come from one address: libp2p's 5 a second and 10 at a time would refuse it.
      inboundConnectionThreshold: 10_000,
      maxIncomingPendingConnections: 512,
      maxParallelDials: 16,
      dialTimeout: parts.dialMs,
      addressDialTimeout: parts.dialMs * 0.6,
      inboundUpgradeTimeout: parts.upgradeMs,
      reconnectRetries: 0,
      // Peers tell addresses, and an address may not cause a lookup of a name.
      resolvers: {},
    },
    // Addresses stay good until their peer tells others: libp2p would forget them after an hour, and with them every
    // provider record of that peer, for announcing again does not renew them.
    peerStore: { maxAddressAge: Number.POSITIVE_INFINITY, maxPeerAge: Number.POSITIVE_INFINITY },
    connectionGater: {
      denyDialPeer: denied,
      denyDialMultiaddr: (address) => !parts.mayDial(parseMultiaddr(address.toString())?.host ?? ''),
      denyInboundEncryptedConnection: denied,
      denyOutboundEncryptedConnection: denied,
      filterMultiaddrForPeer: (_, address) => isNumericMultiaddr(address.toString()),
    },
    services: {
      identify: identify({ protocolPrefix: 'shoal' }),
      ping: ping({ protocolPrefix: 'shoal' }),
      ownAddresses,
      dht: kadDHT({
        protocol: KAD_PROTOCOL,
        clientMode: false,
        peerInfoMapper: passthroughMapper,
        kBucketSize: K,
        // Every stream that is opened beside it delays the first answer.
        alpha: 3,
        disjointPaths: 1,
        // An agent alone gets its answer, "nobody", at once.
        allowQueryWithZeroPeers: true,
        initialQuerySelfInterval: parts.dht.initialQuerySelfMs,
        querySelfInterval: parts.dht.querySelfMs,
        networkDialTimeout: { minTimeout: parts.dht.requestMs, maxTimeout: parts.dht.requestMs * 2 },
        // Each may hold a message of up to 4 MiB.
        maxInboundStreams: 16,
        reprovide: { interval: NEVER },
        // Only provider records are kept here.
        validators: { pk: refuse },
      }),
    },
  }
}

function refuse(): never {
  throw new Error('no such records in this swarm')
}

/** Loopback addresses mean another host's own ones there, unless all of the swarm is on this host. */
function reachable(addresses: Multiaddr[]): Multiaddr[] {
  const others = addresses.filter((address) => !isLoopback(parseMultiaddr(withoutId(address))?.host ?? ''))
  return others.length > 0 ? others : addresses
}

interface OwnAddresses {
  boundPort(): number
}

/** libp2p announces public addresses only after somebody outside has confirmed them; here the operator's word counts. */
function ownAddresses({ addressManager, transportManager }: Components): OwnAddresses & Startable {
  return {
    start: () => {},
    stop: () => {},
    afterStart: () => {
      for (const { multiaddr, verified } of addressManager.getAddressesWithMetadata())
        if (!verified) addressManager.confirmObservedAddr(multiaddr, { type: 'transport', ttl: NEVER })
    },
    boundPort: () => {
      const [address] = transportManager.getAddrs()
      return address === undefined ? 0 : (parseMultiaddr(withoutId(address))?.port ?? 0)
    },
  }
}
