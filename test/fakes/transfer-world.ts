import type { BlobReader, TransferMetrics } from '../../src/blob/ports.ts'
import { type Beginning, type Outcome, Transfer, type TransferEnd } from '../../src/blob/transfer.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { noTracer } from '../../src/util/tracer.ts'
import { FakeSource, type Faults } from './fake-source.ts'
import { digestOfBytes, FakeSwarm } from './fake-swarm.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'
import { silentLog } from './silent-log.ts'

const QUOTA_BYTES = 1024 * 1024 * 1024

/** One blob, an origin that has it, a swarm without peers, and a store in memory. */
export class TransferWorld {
  readonly bytes: Buffer
  readonly digest: Digest
  readonly swarm = new FakeSwarm()
  readonly store = new MemoryBlobStore({ clock: Date.now }, { quotaBytes: QUOTA_BYTES })
  readonly origin: FakeSource
  readonly received = { origin: 0, peer: 0 }
  readonly wasted = { origin: 0, peer: 0 }
  readonly duplicated = { origin: 0, peer: 0 }
  readonly ends: TransferEnd[] = []

  constructor(bytes: Buffer, given: { origin?: Partial<Faults>; originBytes?: Buffer } = {}) {
    this.bytes = bytes
    this.digest = digestOfBytes(bytes)
    const faults = given.origin ?? {}
    this.origin = new FakeSource({ kind: 'origin', id: 'registry.test', bytes: given.originBytes ?? bytes, faults })
  }

  transfer(given: { holdBackMs?: number; headStartMs?: number; offset?: number; lateMs?: number } = {}): Transfer {
    const { received, wasted, duplicated } = this
    const metrics: TransferMetrics = {
      received: (source, bytes) => void (received[source] += bytes),
      wasted: (source, bytes) => void (wasted[source] += bytes),
      duplicated: (source) => void (duplicated[source] += 1),
      transferEnded: () => {},
      verified: () => {},
      rejected: () => {},
      passedThrough: () => {},
    }
    const { headStartMs = 10, holdBackMs = 10_000, offset = 0.5, lateMs = 0 } = given
    const lateness = { ms: lateMs }
    return new Transfer(
      { store: this.store, swarm: this.swarm, clock: Date.now, log: silentLog, metrics, tracer: noTracer, lateness },
      {
        digest: this.digest,
        registry: 'registry.test',
        headStartMs,
        holdBackMs,
        offset,
        onEnd: (end) => void this.ends.push(end),
      },
    )
  }

  beginning(given: Partial<Beginning> = {}): Beginning {
    const kept = this.store.partialSize(this.digest)
    return { key: 'anonymous', kept, isCautious: false, statedSize: undefined, doubtedSizes: new Set(), ...given }
  }

  /** Reads all of the blob through a new transfer. */
  async pull(given: Parameters<TransferWorld['transfer']>[0] = {}): Promise<Pulled> {
    const transfer = this.transfer(given)
    try {
      await transfer.begin(this.origin, this.beginning())
    } catch (error) {
      return { error, seen: Buffer.alloc(0), outcome: await transfer.ended }
    }
    const reader = transfer.openReader()
    const { seen, error } = await readAll(reader)
    await reader.close()
    return { error, seen, outcome: await transfer.ended }
  }
}

export interface Pulled {
  /** Undefined: the body ended normally. */
  readonly error: unknown
  readonly seen: Buffer
  readonly outcome: Outcome
}

/** Everything up to the end, or to the error. */
export async function readAll(reader: BlobReader, from = 0): Promise<{ seen: Buffer; error: unknown }> {
  const { signal } = new AbortController()
  const pieces: Buffer[] = []
  try {
    for (let position = from; ; ) {
      const target = Buffer.alloc(100_000)
      const count = await reader.read(target, position, { signal })
      if (count === 0) return { seen: Buffer.concat(pieces), error: undefined }
      pieces.push(target.subarray(0, count))
      position += count
    }
  } catch (error) {
    return { seen: Buffer.concat(pieces), error }
  }
}
