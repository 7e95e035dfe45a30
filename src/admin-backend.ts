/** What the admin API shows of the agent's components. */
import type { BlobService } from './blob/blob-service.ts'
import type { Abortable, StoredBlob } from './blob/ports.ts'
import { ShoalError } from './errors.ts'
import type {
  AdminBackend,
  AgentStatus,
  BanStatus,
  GcResult,
  PeerStatus,
  PeersAnswer,
  RemoveResult,
  Traffic,
  VerifyEvent,
} from './facade/admin-api.ts'
import type { ClientSightings } from './facade/client-sightings.ts'
import type { Diagnosis, SwarmDiagnosis } from './facade/diagnosis-api.ts'
import type { TransferHistory } from './facade/transfer-history.ts'
import type { TransfersAnswer } from './facade/transfers-api.ts'
import type { Digest } from './oci/digest.ts'
import type { PrewarmRequest } from './prewarm/prewarm-events.ts'
import type { PreparedPrewarm, Prewarmer } from './prewarm/prewarmer.ts'
import type { ManagedBlobStore } from './store/managed-blob-store.ts'
import type { Clock } from './util/clock.ts'
import { formatHostPort, type HostPort } from './util/host-port.ts'

export interface AgentBackendComponents {
  readonly store: ManagedBlobStore
  readonly blobs: BlobService
  readonly history: TransferHistory
  /** Names by which clients asked for the blob. */
  readonly namesOf: (digest: string) => readonly string[]
  readonly clock: Clock
  readonly prewarmer: Pick<Prewarmer, 'prepare'>
  readonly clients: Pick<ClientSightings, 'list' | 'probes'>
  /** Undefined when the swarm is switched off. */
  readonly diagnostics: { diagnose(options: Abortable): Promise<SwarmDiagnosis> } | undefined
  readonly isReady: () => boolean
  readonly listening: () => Listening
  readonly traffic: () => Traffic
  /** Undefined when the agent takes part in no swarm. */
  readonly swarm: SwarmView | undefined
  /** Addresses of other agents, as configured now. */
  readonly bootstrap: () => readonly string[]
}

export interface Listening {
  readonly facade: readonly HostPort[]
  readonly admin: readonly HostPort[]
  readonly swarm: readonly HostPort[]
  readonly lane: readonly HostPort[]
}

export interface SwarmView {
  /** This agent's own id. */
  readonly self: string
  peers(): readonly PeerStatus[]
  bans(): readonly BanStatus[]
}

export class AgentBackend implements AdminBackend {
  readonly #components: AgentBackendComponents
  readonly #init: { version: string; instanceId: string; storeDir: string }
  readonly #startedAt: number

  constructor(components: AgentBackendComponents, init: { version: string; instanceId: string; storeDir: string }) {
    this.#components = components
    this.#init = init
    this.#startedAt = components.clock()
  }

  isReady(): boolean {
    return this.#components.isReady()
  }

  status(): AgentStatus {
    const { store, blobs, clock, listening, traffic } = this.#components
    const { facade, admin, swarm, lane } = listening()
    const { usage } = store
    return {
      version: this.#init.version,
      instanceId: this.#init.instanceId,
      ready: this.isReady(),
      uptimeSeconds: Math.round((clock() - this.#startedAt) / 1000),
      listening: {
        facade: facade.map(formatHostPort),
        admin: admin.map(formatHostPort),
        swarm: swarm.map(formatHostPort),
        lane: lane.map(formatHostPort),
      },
      store: {
        dir: this.#init.storeDir,
        blobs: usage.blobs,
        bytes: usage.blobBytes,
        quotaBytes: usage.quotaBytes,
        writable: store.isWritable,
        ...(store.unusable !== undefined && { unusable: store.unusable }),
      },
      transfers: blobs.list(),
      clients: this.#components.clients.list(),
      probes: this.#components.clients.probes,
      traffic: traffic(),
      swarm: this.#swarmStatus(),
    }
  }

  blobs(): readonly StoredBlob[] {
    return this.#components.store.list()
  }

  transfers(): TransfersAnswer {
    const { blobs, history, namesOf } = this.#components
    return {
      transfers: blobs.views().map((view) => Object.assign(view, { names: namesOf(view.digest) })),
      ended: history.list(),
    }
  }

  peers(): PeersAnswer {
    const { swarm } = this.#components
    if (swarm === undefined) return { peers: [], bans: [] }
    return { peers: swarm.peers(), bans: swarm.bans(), bootstrap: this.#components.bootstrap().length }
  }

  async *verify(options: Abortable): AsyncGenerator<VerifyEvent> {
    const begun = this.#components.clock()
    let bytes = 0
    for await (const event of this.#components.store.verify(options)) {
      if (event.step === 'started') continue
      if (event.step === 'finished') {
        const { good, damaged, unchecked } = event
        const seconds = (this.#components.clock() - begun) / 1000
        yield { type: 'done', checked: good + damaged + unchecked, bad: damaged + unchecked, bytes, seconds }
        continue
      }
      const { digest, size } = event
      bytes += size
      const isWrong = event.step === 'damaged' && event.reason === 'wrong digest'
      yield { type: 'blob', digest, size, outcome: event.step === 'good' ? 'ok' : isWrong ? 'corrupt' : 'unreadable' }
    }
  }

  async gc(): Promise<GcResult> {
    const { store } = this.#components
    const { removed, freedBytes } = await store.collect()
    return {
      removedBlobs: removed.length,
      removedBytes: freedBytes,
      blobs: store.usage.blobs,
      bytes: store.usage.blobBytes,
    }
  }

  prewarm(request: PrewarmRequest): PreparedPrewarm {
    return this.#components.prewarmer.prepare(request)
  }

  async diagnose(options: Abortable): Promise<Diagnosis> {
    const { clock, diagnostics } = this.#components
    return { now: clock(), swarm: await diagnostics?.diagnose(options) }
  }

  async remove(digest: Digest): Promise<RemoveResult> {
    const bytes = await this.#components.store.remove(digest)
    if (bytes === undefined)
      throw new ShoalError('BLOB_UNKNOWN', 'the blob is not in the store', { detail: { digest } })
    return { digest, bytes }
  }

  #swarmStatus(): AgentStatus['swarm'] {
    const { swarm } = this.#components
    if (swarm === undefined) return undefined
    const connected = swarm.peers().filter((peer) => peer.isConnected).length
    return { id: swarm.self, connected, banned: swarm.bans().length }
  }
}
