import type { AdminBackend, BanStatus, PeerStatus } from './admin-api.ts'
import { chunkCells } from './chunk-cells.ts'
import type { PageEnded, PagePeer, PageSections, PageSwarm } from './page-data.ts'
import type { Pull } from './pull-log.ts'
import type { TrafficSample } from './traffic-history.ts'
import type { EndedTransfer } from './transfers-api.ts'

const MAX_CELLS = 256
const MAX_TRANSFERS = 12
const MAX_ENDED = 4
const MAX_PEERS = 60
const MAX_BANS = 30

export interface PageSectionsInput {
  readonly backend: Pick<AdminBackend, 'status' | 'peers' | 'transfers'>
  readonly pulls: readonly Pull[]
  readonly samples: readonly TrafficSample[]
  /** As `PageAgent`. */
  readonly startedAt: number
  readonly page: string
}

/** What the page shows of an agent at this moment; bounded, whatever the agent knows. */
export function pageSections({ backend, pulls, samples, startedAt, page }: PageSectionsInput): PageSections {
  const { version, instanceId, ready, listening, store, traffic, swarm } = backend.status()
  const { transfers, ended } = backend.transfers()
  return {
    agent: { version, instanceId, startedAt, ready, facade: listening.facade, page },
    store,
    traffic,
    swarm: swarmSection(swarm?.id, backend.peers()),
    transfers: {
      running: transfers.length,
      list: transfers.slice(0, MAX_TRANSFERS).map((transfer) => {
        const { names, digest, registry, size, verifiedChunks, chunks, readers, startedAt, bytes } = transfer
        const shown = { names, digest, registry, size, verifiedChunks, chunks, readers, startedAt, bytes }
        const chunkMap = chunkCells(transfer.chunkMap, MAX_CELLS)
        return Object.assign(shown, { bytesPerSecond: transfer.bytesPerSecond, chunkMap })
      }),
    },
    // configs and the like tell nothing
    ended: ended
      .filter(({ chunks, outcome }) => chunks > 1 || outcome !== 'complete')
      .slice(0, MAX_ENDED)
      .map(endedSection),
    pulls,
    samples,
  }
}

function swarmSection(
  id: string | undefined,
  { peers, bans }: { peers: readonly PeerStatus[]; bans: readonly BanStatus[] },
): PageSwarm {
  const banned = new Set(bans.map(({ peer }) => peer))
  const weight = (peer: PeerStatus): number =>
    (banned.has(peer.id) ? 2 ** 61 : 0) + (peer.isConnected ? 2 ** 60 : 0) + peer.receivedBytes + peer.sentBytes
  const shown = [...peers].sort((a, b) => weight(b) - weight(a)).slice(0, MAX_PEERS)
  return {
    id,
    connected: peers.filter(({ isConnected }) => isConnected).length,
    known: peers.length,
    peers: shown.map((peer): PagePeer => {
      const { address, zone, version, isConnected, receivedBytes, sentBytes, faults } = peer
      const isBanned = banned.has(peer.id)
      return { id: peer.id, address, zone, version, isConnected, isBanned, receivedBytes, sentBytes, faults }
    }),
    banned: bans.length,
    bans: [...bans].sort((a, b) => b.since - a.since).slice(0, MAX_BANS),
  }
}

function endedSection({ digest, names, size, outcome, startedAt, endedAt, bytes, chunkMap }: EndedTransfer): PageEnded {
  const seconds = Math.max(0, endedAt - startedAt) / 1_000
  return { digest, names, size, outcome, endedAt, bytes, seconds, chunkMap: chunkCells(chunkMap, MAX_CELLS) }
}
