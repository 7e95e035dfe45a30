/** The part of the composition root that creates the swarm; loaded only when the agent takes part in one. */
import { join } from 'node:path'
import type { SwarmView } from './admin-backend.ts'
import type { SwarmSettings } from './agent-reload.ts'
import { Announcer } from './blob/announcer.ts'
import { noSwarm } from './blob/no-swarm.ts'
import type { Abortable, SharedContent, Swarm } from './blob/ports.ts'
import type { SwarmConfig } from './config-swarm.ts'
import { listeningFor } from './listening.ts'
import type { Fleet, FleetImage, HostEnd, HostProgress } from './prewarm/fleet.ts'
import { DIAL_BACK_TIMING, DialBack } from './swarm/dial-back.ts'
import { DhtProviderDirectory } from './swarm/discovery/dht-provider-directory.ts'
import { FLEET_PREWARM_TIMING, FleetPrewarm } from './swarm/fleet-prewarm.ts'
import { createLaneCertificate } from './swarm/lane/lane-certificate.ts'
import { LaneClient } from './swarm/lane/lane-client.ts'
import { LaneServer, type LaneServerLimits } from './swarm/lane/lane-server.ts'
import { ephemeralIdentity, type Identity, loadIdentity } from './swarm/membership/identity.ts'
import { parseMultiaddr, withoutId } from './swarm/membership/peer-address.ts'
import type { SwarmKey } from './swarm/membership/swarm-secret.ts'
import { systemResolve } from './swarm/node/bootstrap-address.ts'
import { KnownPeers } from './swarm/node/known-peers.ts'
import { SwarmNode } from './swarm/node/swarm-node.ts'
import { SWARM_TIMING } from './swarm/node/swarm-timing.ts'
import { SwarmDirectory } from './swarm/swarm-directory.ts'
import type { SwarmMetrics } from './swarm/swarm-metrics.ts'
import { PeerLedger } from './swarm/trust/peer-ledger.ts'
import { SwarmDiagnostics } from './swarm-diagnostics.ts'
import type { DirectoryCounters } from './telemetry/swarm-counters.ts'
import { type Clock, steadyClock } from './util/clock.ts'
import type { HostPort } from './util/host-port.ts'
import type { Lateness } from './util/lateness.ts'
import type { Logger } from './util/logger.ts'
import type { Tracer } from './util/tracer.ts'

export interface AgentSwarmComponents {
  readonly content: SharedContent
  /** Brings in what other agents ask for. */
  readonly prewarm: (
    image: FleetImage,
    onProgress: (progress: HostProgress) => void,
    options: Abortable,
  ) => Promise<HostEnd>
  readonly metrics: SwarmMetrics
  readonly directoryMetrics: DirectoryCounters
  readonly tracer: Tracer
  readonly lateness: Lateness
  readonly clock: Clock
  readonly log: Logger
}

export interface AgentSwarmInit {
  readonly config: SwarmConfig
  /** Of the swarm's secrets, the one in use first; none without a secret. */
  readonly keys: readonly SwarmKey[]
  /** Where identity, peers and bans are kept; undefined: nowhere. */
  readonly dir: string | undefined
  readonly version: string
}

/**
 * Without a secret, a list of peers or `open` it only knows its own id, which others need for their lists.
 * Created before what shares its content, started after it.
 */
export interface AgentSwarm {
  readonly swarm: Swarm
  readonly view: SwarmView
  /** The agents that can be asked to prewarm; undefined without a swarm. */
  readonly fleet: Fleet | undefined
  readonly diagnostics: SwarmDiagnostics
  /** What was bound; empty before `start`. */
  readonly addresses: readonly HostPort[]
  readonly laneAddresses: readonly HostPort[]
  /** For the metrics. */
  readonly figures: SwarmFigures
  configure(settings: SwarmSettings): void
  /** @throws the socket's error when an address cannot be bound */
  start(): Promise<void>
}

interface SwarmFigures {
  readonly isMember: boolean
  /** Provider records held for others. */
  readonly records: number
  /** As a coordinator: blobs, and chunks that are out. */
  readonly coordinated: { readonly blobs: number; readonly chunksOut: number }
  readonly laneIn: number
  readonly laneOut: number
  /** Peers that were turned away, by reason. */
  readonly refusals: Readonly<Record<string, number>>
}

const NO_SWARM =
  'no swarm: set swarm.secretFile (or swarm.allowPeers, or swarm.open) to share with other hosts, or swarm.enabled: false'

const LANE_LIMITS: LaneServerLimits = {
  connections: 1_024,
  strangers: 64,
  handshakeMs: 5_000,
  connectionsPerPeer: 8,
  requestsPerPeer: 8,
  requests: 64,
  idleMs: 75_000,
  writeMs: 30_000,
}

const LANE_DEADLINES = { connectMs: 3_000, handshakeMs: 10_000, firstByteMs: 6_000, stallMs: 6_000, idleMs: 60_000 }
const LANE_CONNECTIONS_PER_PEER = 4
const SAVE_PEERS_MS = 5_000

/** @param stack gets what has to be stopped */
export async function openSwarm(
  components: AgentSwarmComponents,
  init: AgentSwarmInit,
  stack: AsyncDisposableStack,
): Promise<AgentSwarm> {
  const { content, metrics, clock } = components
  const { config, keys, dir, version } = init
  const log = components.log.child({ component: 'swarm' })
  const laneLog = components.log.child({ component: 'lane' })
  const identity = await identityIn(dir, log)
  const ledger = new PeerLedger({ clock, log, metrics }, { file: dir && join(dir, 'bans.json') })
  const isBanned = (peer: string): boolean => ledger.isBanned(peer)

  const node: SwarmNode = new SwarmNode(
    {
      log,
      clock,
      identity,
      ownLane: () => ({
        fingerprint: certificate.fingerprint,
        port: server.port,
        hosts: node.advertisedHosts,
      }),
      isBanned,
      knownPeers: new KnownPeers({ log }, { path: dir && join(dir, 'peers.json'), saveMs: SAVE_PEERS_MS }),
      resolve: systemResolve,
    },
    {
      listen: config.listen,
      advertise: config.advertise,
      keys,
      allowPeers: config.allowPeers,
      open: config.open,
      bootstrap: config.bootstrap,
      mdns: config.mdns,
      zone: config.zone,
      version,
      timing: SWARM_TIMING,
    },
  )
  const certificate = createLaneCertificate(node.self)
  const directory = new DhtProviderDirectory({ node, metrics: components.directoryMetrics, clock, log }, SWARM_TIMING)
  const server = new LaneServer(
    { content, members: node, ledger, certificate, clock: steadyClock, log: laneLog, metrics },
    { listen: config.lane, uploadRate: config.uploadRate, limits: LANE_LIMITS },
  )
  const lane = new LaneClient(
    { members: node, certificate, clock: steadyClock, log: laneLog, metrics, tracer: components.tracer },
    { ...LANE_DEADLINES, connectionsPerPeer: LANE_CONNECTIONS_PER_PEER, downloadRate: config.downloadRate },
  )
  const swarm = new SwarmDirectory(
    { members: node, directory, lane, content, ledger, metrics, clock, log, lateness: components.lateness },
    { shareTags: config.shareTags },
  )
  const fleet = new FleetPrewarm(
    { members: node, work: config.prewarm ? components.prewarm : undefined, clock: steadyClock, log },
    FLEET_PREWARM_TIMING,
  )
  const dialBack = new DialBack(
    { members: node, certificate, own: () => ownAddresses(node, server.port), clock: steadyClock, log },
    DIAL_BACK_TIMING,
  )
  const announcer = new Announcer({ content, directory })
  const listening = <T extends { readonly id: string; readonly address: string }>(peer: T): T => ({
    ...peer,
    address: node.listeningAddress(peer.id) ?? peer.address,
  })
  // Not even on loopback: any user of this host could be a peer there, pull what others may and answer for tags.
  const isMember = keys.length > 0 || config.allowPeers.length > 0 || config.open
  return {
    swarm: isMember ? swarm : noSwarm,
    fleet: isMember ? { hosts: () => fleet.hosts().map(listening), ask: (...asked) => fleet.ask(...asked) } : undefined,
    diagnostics: new SwarmDiagnostics(
      { members: () => [...node.connected.values()].map(listening), dialBack, refusals: () => node.refusals },
      { isMember },
    ),
    view: { self: node.self, peers: () => ledger.peers().map(listening), bans: () => ledger.bans() },
    get figures() {
      return {
        isMember,
        records: node.recordCount,
        coordinated: swarm.coordinated,
        laneIn: server.connections,
        laneOut: lane.connections,
        refusals: node.refusals,
      }
    },
    configure: (settings) => {
      server.setUploadRate(settings.uploadRate)
      lane.setDownloadRate(settings.downloadRate)
      node.setKeys(settings.keys)
      node.setBootstrap(settings.bootstrap)
    },
    get addresses() {
      return node.addresses
    },
    get laneAddresses() {
      return server.port === 0 ? [] : [{ host: config.lane.host, port: server.port }]
    },
    start: async () => {
      if (!isMember) {
        log.warn({}, NO_SWARM)
        return
      }
      await ledger.start()
      stack.defer(() => ledger.stop())
      const { lane: laneListen } = config
      if (laneListen === undefined) await server.start()
      else await listeningFor('swarm.lane', laneListen, () => server.start())
      stack.defer(() => server.stop({ deadlineMs: 0 }))
      lane.start()
      stack.defer(() => lane.stop())
      stack.defer(
        ledger.subscribe(({ peer }) => {
          server.drop(peer)
          lane.drop(peer)
        }),
      )
      swarm.start()
      stack.defer(() => swarm.stop())
      stack.defer(() => fleet.stop())
      stack.defer(() => dialBack.stop())
      stack.defer(() => node.stop())
      await listeningFor('swarm.listen', config.listen, () => node.start())
      directory.start()
      stack.defer(() => directory.stop())
      announcer.start()
      stack.defer(() => announcer.stop())
    },
  }
}

/** Under which others are told to find this agent. */
function ownAddresses(node: SwarmNode, lanePort: number): { swarm: HostPort[]; lane: HostPort[] } {
  const swarm = node.libp2p.getMultiaddrs().flatMap((address) => parseMultiaddr(withoutId(address)) ?? [])
  const hosts = node.advertisedHosts.length > 0 ? node.advertisedHosts : swarm.map(({ host }) => host)
  const lane = lanePort === 0 ? [] : [...new Set(hosts)].map((host) => ({ host, port: lanePort }))
  return { swarm, lane }
}

async function identityIn(dir: string | undefined, log: Logger): Promise<Identity> {
  if (dir === undefined) return await ephemeralIdentity()
  try {
    return await loadIdentity(join(dir, 'identity.key'), { log })
  } catch (error) {
    log.warn({ dir, err: error }, 'the identity cannot be kept: this agent is a new one to its peers after a restart')
    return await ephemeralIdentity()
  }
}
