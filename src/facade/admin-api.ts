/** What the admin listener says and takes: the JSON of the commands, and what the agent gives for it. */
import type { Abortable } from '../blob/ports.ts'
import type { Digest } from '../oci/digest.ts'
import type { PrewarmRequest } from '../prewarm/prewarm-events.ts'
import type { PreparedPrewarm } from '../prewarm/prewarmer.ts'
import type { ClientSighting } from './client-sightings.ts'
import type { Diagnosis } from './diagnosis-api.ts'
import type { TransfersAnswer } from './transfers-api.ts'

export interface AgentStatus {
  readonly version: string
  readonly instanceId: string
  readonly ready: boolean
  readonly uptimeSeconds: number
  /** `host:port` of what was bound. */
  readonly listening: {
    readonly facade: readonly string[]
    readonly admin: readonly string[]
    /** Where other agents find this one, and its lane; nothing without a swarm. */
    readonly swarm: readonly string[]
    readonly lane: readonly string[]
  }
  readonly store: {
    readonly dir: string
    readonly blobs: number
    readonly bytes: number
    readonly quotaBytes: number
    /** False while blobs are passed through, because the disk is full or can not be written, as it was seconds ago. */
    readonly writable: boolean
    /** Why there is no store at all: the directory could not be used when the agent started. */
    readonly unusable?: string
  }
  readonly transfers: readonly TransferStatus[]
  /** Programs that asked for something since the agent started, those seen last first. Undefined: it does not tell. */
  readonly clients?: readonly ClientSighting[]
  /** Requests by which `shoal doctor` tried this agent; undefined: it does not tell. */
  readonly probes?: number
  readonly traffic: Traffic
  /** Undefined when the agent takes part in none. */
  readonly swarm?: SwarmStatus | undefined
}

/** Bytes of blobs since the agent started. */
export interface Traffic {
  readonly fromOrigin: number
  readonly fromPeers: number
  /** Of what came, what was thrown away: wrong, or here already. */
  readonly wasted: number
  readonly toPeers: number
}

export interface SwarmStatus {
  /** This agent's own id. */
  readonly id: string
  /** How many agents it is connected with. */
  readonly connected: number
  readonly banned: number
}

/** Another agent, connected now or not long ago. */
export interface PeerStatus {
  readonly id: string
  /** Where it listens, as far as it said so; else of the last connection's other end. */
  readonly address: string
  readonly zone: string
  /** Of Shoal. */
  readonly version: string
  readonly isConnected: boolean
  /** Bytes of blobs that came from it and went to it since this agent started. */
  readonly receivedBytes: number
  readonly sentBytes: number
  /** Bytes per second at which it delivers; undefined until that was seen. */
  readonly bytesPerSecond?: number | undefined
  /** Requests to it that failed, stalled or brought wrong bytes, and abuse of the protocol. */
  readonly faults: number
}

export interface BanStatus {
  readonly peer: string
  readonly reason: 'false-map' | 'false-claim' | 'wrong-bytes' | 'protocol'
  /** Milliseconds since the epoch. */
  readonly since: number
  readonly until: number
  /** The agent that showed the proof; undefined when it was found out here. */
  readonly fromPeer?: string | undefined
}

export interface PeersAnswer {
  readonly peers: readonly PeerStatus[]
  readonly bans: readonly BanStatus[]
  /** How many addresses of other agents are configured; undefined: it does not tell, or takes part in no swarm. */
  readonly bootstrap?: number | undefined
}

export interface TransferStatus {
  readonly digest: string
  /** Bytes; undefined while it is not known. */
  readonly size?: number | undefined
  readonly verifiedChunks: number
  readonly chunks: number
  readonly readers: number
}

export interface BlobStatus {
  readonly digest: string
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly storedAt: number
  readonly usedAt: number
  readonly pinned: boolean
}

/** One line of the answer to `verify`. The last one is `done`: without it, the check did not come to its end. */
export type VerifyEvent =
  | {
      readonly type: 'blob'
      readonly digest: string
      readonly size: number
      readonly outcome: 'ok' | 'corrupt' | 'unreadable'
    }
  | { readonly type: 'failed'; readonly message: string }
  | {
      readonly type: 'done'
      readonly checked: number
      readonly bad: number
      readonly bytes: number
      readonly seconds: number
    }

export interface GcResult {
  readonly removedBlobs: number
  readonly removedBytes: number
  readonly blobs: number
  readonly bytes: number
}

export interface RemoveResult {
  readonly digest: string
  readonly bytes: number
}

/** What the admin routes are served from. */
export interface AdminBackend {
  isReady(): boolean
  status(): AgentStatus
  blobs(): readonly BlobStatus[]
  transfers(): TransfersAnswer
  /** Nobody when the agent takes part in no swarm. */
  peers(): PeersAnswer
  /** Reads every blob again; bad ones are removed. Ends early when the signal aborts. */
  verify(options: Abortable): AsyncIterable<VerifyEvent>
  gc(options: Abortable): Promise<GcResult>
  /** Asks other agents to connect back: takes seconds. */
  diagnose(options: Abortable): Promise<Diagnosis>
  /** @throws ShoalError when the request makes no sense; what comes of it is told as it runs */
  prewarm(request: PrewarmRequest): PreparedPrewarm
  /** @throws ShoalError BLOB_UNKNOWN */
  remove(digest: Digest): Promise<RemoveResult>
}

export interface MetricsSource {
  readonly contentType: string
  text(): Promise<string>
}
