import type { Abortable } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import type {
  AdminBackend,
  AgentStatus,
  BlobStatus,
  GcResult,
  PeersAnswer,
  RemoveResult,
  VerifyEvent,
} from '../../src/facade/admin-api.ts'
import type { Diagnosis } from '../../src/facade/diagnosis-api.ts'
import type { TransfersAnswer } from '../../src/facade/transfers-api.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { PrewarmRequest } from '../../src/prewarm/prewarm-events.ts'
import type { PreparedPrewarm } from '../../src/prewarm/prewarmer.ts'

export const STATUS: AgentStatus = {
  version: '1.2.3',
  instanceId: 'agent-1',
  ready: true,
  uptimeSeconds: 3_725,
  listening: {
    facade: ['127.0.0.1:5050', '[::1]:5050'],
    admin: ['127.0.0.1:5053'],
    swarm: ['10.0.0.7:5051'],
    lane: ['10.0.0.7:5052'],
  },
  store: { dir: '/var/lib/shoal', blobs: 2, bytes: 1_610_612_736, quotaBytes: 53_687_091_200, writable: true },
  transfers: [{ digest: `sha256:${'c'.repeat(64)}`, size: 1_048_576, verifiedChunks: 3, chunks: 4, readers: 2 }],
  clients: [{ family: 'docker', requests: 5, lastSeenAt: 1_700_000_000_000 }],
  traffic: { fromOrigin: 1_048_576, fromPeers: 3_145_728, wasted: 2_048, toPeers: 5_242_880 },
  swarm: { id: '12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X', connected: 7, banned: 1 },
}

/** An agent behind the admin listener that does what the test says. */
export class FakeAdminBackend implements AdminBackend {
  ready = true
  current: AgentStatus = STATUS
  held: BlobStatus[] = []
  known: PeersAnswer = { peers: [], bans: [] }
  moving: TransfersAnswer = { transfers: [], ended: [] }
  verifyEvents: (options: Abortable) => AsyncIterable<VerifyEvent> = async function* () {}
  collect: () => Promise<GcResult> = async () => ({ removedBlobs: 1, removedBytes: 2_048, blobs: 1, bytes: 10 })
  diagnosis: Diagnosis = { now: 0 }
  prepare: (request: PrewarmRequest) => PreparedPrewarm = () => async () => {}
  readonly removed: Digest[] = []

  isReady(): boolean {
    return this.ready
  }

  status(): AgentStatus {
    return this.current
  }

  blobs(): readonly BlobStatus[] {
    return this.held
  }

  transfers(): TransfersAnswer {
    return this.moving
  }

  peers(): PeersAnswer {
    return this.known
  }

  verify(options: Abortable): AsyncIterable<VerifyEvent> {
    return this.verifyEvents(options)
  }

  gc(): Promise<GcResult> {
    return this.collect()
  }

  prewarm(request: PrewarmRequest): PreparedPrewarm {
    return this.prepare(request)
  }

  async diagnose(): Promise<Diagnosis> {
    return this.diagnosis
  }

  async remove(digest: Digest): Promise<RemoveResult> {
    const blob = this.held.find((one) => one.digest === digest)
    if (blob === undefined) throw new ShoalError('BLOB_UNKNOWN', 'no such blob in the store')
    this.removed.push(digest)
    return { digest, bytes: blob.size }
  }
}
