import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { TransferMetrics } from '../blob/ports.ts'
import type { CacheStatus } from '../blob/services.ts'
import type { Traffic } from '../facade/admin-api.ts'
import type { FacadeMetrics, RequestKind } from '../facade/facade-metrics.ts'
import { type DirectoryCounters, directoryCounters, type SwarmCounters, swarmCounters } from './swarm-counters.ts'

// a sampler that wakes the process 100 times a second is not idle
const EVENT_LOOP_SAMPLE_MS = 1_000
const EVENT_LOOP_UTILIZATION_MS = 10_000

const FIRST_BYTE_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const TRANSFER_SECONDS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800]

/** Read when somebody asks for the metrics. */
export interface Observed {
  store(): { readonly blobs: number; readonly bytes: number; readonly quotaBytes: number }
  runningTransfers(): number
  connectedPeers(): number
}

const BODY_SOURCES: Record<CacheStatus, string> = { hit: 'store', miss: 'transfer', 'pass-through': 'pass_through' }

/** All metrics of the agent. Labels have few values: never a digest, a repository or a peer. */
export class Metrics {
  readonly facade: FacadeMetrics
  readonly transfers: TransferMetrics
  readonly swarm: SwarmCounters
  readonly directory: DirectoryCounters
  readonly #traffic = { fromOrigin: 0, fromPeers: 0, wasted: 0, toPeers: 0 }
  readonly #registry = new Registry()

  /** @param init.version of Shoal */
  constructor(init: { version: string }) {
    const registers = [this.#registry]
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS,
      eventLoopUtilizationTimeout: EVENT_LOOP_UTILIZATION_MS,
    })
    const build = new Gauge({
      name: 'shoal_build_info',
      help: 'Version of Shoal and of Node.',
      labelNames: ['version', 'node'],
      registers,
    })
    build.set({ version: init.version, node: process.versions.node }, 1)
    this.facade = facadeMetrics(registers)
    this.transfers = transferMetrics(registers, this.#traffic)
    this.directory = directoryCounters(registers)
    this.swarm = swarmCounters(registers, (bytes) => {
      this.#traffic.toPeers += bytes
    })
  }

  /** Bytes of blobs since the start, for the status of the agent. */
  get traffic(): Traffic {
    return { ...this.#traffic }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** In Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  /** Adds the numbers that are read from `observed` at each scrape. Call it once. */
  observe(observed: Observed): void {
    const gauges: [name: string, help: string, read: () => number][] = [
      ['shoal_store_bytes', 'Bytes of complete blobs in the store.', () => observed.store().bytes],
      ['shoal_store_blobs', 'Complete blobs in the store.', () => observed.store().blobs],
      ['shoal_store_quota_bytes', 'Bytes that the store may hold.', () => observed.store().quotaBytes],
      ['shoal_transfers_running', 'Blobs on their way in.', () => observed.runningTransfers()],
      ['shoal_swarm_peers', 'Agents that are connected.', () => observed.connectedPeers()],
    ]
    for (const [name, help, read] of gauges) {
      const gauge: Gauge = new Gauge({ name, help, registers: [this.#registry], collect: () => gauge.set(read()) })
    }
  }
}

function facadeMetrics(registers: Registry[]): FacadeMetrics {
  const requests = new Counter({
    name: 'shoal_facade_requests_total',
    help: 'Requests of clients by what they ask for and how they were answered (2xx …, cut, left).',
    labelNames: ['kind', 'outcome'],
    registers,
  })
  const bytes = new Counter({
    name: 'shoal_facade_body_bytes_total',
    help: 'Bytes of blobs sent to clients, by where they came from.',
    labelNames: ['source'],
    registers,
  })
  const firstByte = new Histogram({
    name: 'shoal_facade_first_byte_seconds',
    help: 'From a request of a client to the first byte of its body.',
    labelNames: ['kind'],
    buckets: FIRST_BYTE_SECONDS,
    registers,
  })
  // a look-up of labels costs more than the rest of an answer to a manifest
  const counts = new Map<string, Counter.Internal>()
  const countOf = (kind: RequestKind, outcome: string): Counter.Internal => {
    const key = `${kind} ${outcome}`
    const known = counts.get(key) ?? requests.labels({ kind, outcome })
    counts.set(key, known)
    return known
  }
  const seconds = { blob: firstByte.labels({ kind: 'blob' }), manifest: firstByte.labels({ kind: 'manifest' }) }
  return {
    answered: (kind, outcome) =>
      countOf(kind, typeof outcome === 'number' ? `${Math.floor(outcome / 100)}xx` : outcome).inc(),
    firstByte: (kind, value) => seconds[kind].observe(value),
    served: (status, count) => bytes.inc({ source: BODY_SOURCES[status] }, count),
  }
}

function transferMetrics(
  registers: Registry[],
  traffic: { fromOrigin: number; fromPeers: number; wasted: number },
): TransferMetrics {
  const received = new Counter({
    name: 'shoal_received_bytes_total',
    help: 'Bytes of blobs received, by kind of source.',
    labelNames: ['source'],
    registers,
  })
  const wasted = new Counter({
    name: 'shoal_wasted_bytes_total',
    help: 'Bytes received and thrown away, by kind of source: wrong, or here already.',
    labelNames: ['source'],
    registers,
  })
  const ended = new Histogram({
    name: 'shoal_transfer_seconds',
    help: 'Duration of transfers by outcome.',
    labelNames: ['outcome'],
    buckets: TRANSFER_SECONDS,
    registers,
  })
  const passed = new Counter({
    name: 'shoal_passed_through_total',
    help: 'Blobs that were handed on without being stored.',
    registers,
  })
  const duplicated = new Counter({
    name: 'shoal_chunks_asked_twice_total',
    help: 'Chunks asked for from a second source because the first one was late, by kind of the second.',
    labelNames: ['source'],
    registers,
  })
  return {
    received: (source, count) => {
      received.inc({ source }, count)
      traffic[source === 'origin' ? 'fromOrigin' : 'fromPeers'] += count
    },
    wasted: (source, count) => {
      wasted.inc({ source }, count)
      traffic.wasted += count
    },
    transferEnded: (outcome, value) => ended.observe({ outcome }, value),
    duplicated: (source) => duplicated.inc({ source }),
    passedThrough: () => passed.inc(),
  }
}
