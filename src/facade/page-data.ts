/** What the page is told: in full by the event `snapshot`, then by events `change` with the sections that are not as before. */
import type { ChunkMarks } from '../blob/transfer-view.ts'
import type { BanStatus, Traffic } from './admin-api.ts'
import type { Pull } from './pull-log.ts'
import type { TrafficSample } from './traffic-history.ts'
import type { EndedTransfer, TransferDetail } from './transfers-api.ts'

export interface PageSections {
  readonly agent: PageAgent
  readonly store: PageStore
  readonly traffic: Traffic
  readonly swarm: PageSwarm
  readonly transfers: PageTransfers
  readonly ended: readonly PageEnded[]
  readonly pulls: readonly Pull[]
  /** Of the last hour; in a change, those that are not as before. */
  readonly samples: readonly TrafficSample[]
}

export interface PageMessage extends Partial<PageSections> {
  /** The agent's clock, milliseconds since the epoch. */
  readonly now: number
}

export interface PageAgent {
  readonly version: string
  readonly instanceId: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly ready: boolean
  /** Where clients find it, `host:port`. */
  readonly facade: readonly string[]
  /** Of the page's files: another one means that the page that is open is not this agent's. */
  readonly page: string
}

export interface PageStore {
  readonly dir: string
  readonly blobs: number
  readonly bytes: number
  readonly quotaBytes: number
  readonly writable: boolean
  /** As `AgentStatus`. */
  readonly unusable?: string
}

export interface PageSwarm {
  /** This agent's id; undefined when it takes part in no swarm. */
  readonly id?: string | undefined
  readonly connected: number
  /** How many are known, of which `peers` holds those that matter most. */
  readonly known: number
  readonly peers: readonly PagePeer[]
  readonly banned: number
  readonly bans: readonly BanStatus[]
}

export interface PagePeer {
  readonly id: string
  readonly address: string
  readonly zone: string
  readonly version: string
  readonly isConnected: boolean
  readonly isBanned: boolean
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly faults: number
}

export interface PageTransfers {
  readonly running: number
  /** At most a few of them. `chunkMap` is of cells: see `chunkCells`. */
  readonly list: readonly TransferDetail[]
}

export interface PageEnded extends Pick<EndedTransfer, 'digest' | 'names' | 'size' | 'outcome' | 'endedAt' | 'bytes'> {
  readonly seconds: number
  readonly chunkMap: readonly ChunkMarks[]
}
