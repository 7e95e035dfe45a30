import { Counter, collectDefaultMetrics, Gauge, Registry } from '@prometheus-io/client'
import type { TransferMetrics } from '../blob/ports.ts'
import type { Traffic } from '../facade/admin-api.ts'
import type { FacadeMetrics } from '../facade/facade-metrics.ts'
import { facadeCounters } from './facade-counters.ts'
import { type Observed, observedMetrics } from './observed-metrics.ts'
import { type OriginCounters, originCounters } from './origin-counters.ts'
import { type DirectoryCounters, directoryCounters, type SwarmCounters, swarmCounters } from './swarm-counters.ts'
import { transferCounters } from './transfer-counters.ts'

// a sampler that wakes the process 100 times a second is not idle
const EVENT_LOOP_SAMPLE_MS = 1_000
const EVENT_LOOP_UTILIZATION_MS = 10_000

/** One metric of the tree, for its documentation. */
export interface MetricDescription {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
}

/** All metrics of the agent. Labels have few values: never a digest, a repository or a peer. */
export class Metrics {
  readonly facade: FacadeMetrics
  readonly transfers: TransferMetrics
  readonly origin: OriginCounters
  readonly swarm: SwarmCounters
  readonly directory: DirectoryCounters
  readonly #traffic = { fromOrigin: 0, fromPeers: 0, wasted: 0, toPeers: 0 }
  readonly #registry = new Registry()
  readonly #warnings: Counter<'level'>
  readonly #reloads: Counter<'outcome'>
  #observed: Observed | undefined

  /** @param init.version of Shoal */
  constructor(init: { version: string }) {
    const registers = [this.#registry]
    const build = new Gauge({
      name: 'shoal_build_info',
      help: 'Version of Shoal and of Node.',
      labelNames: ['version', 'node'],
      registers,
    })
    build.set({ version: init.version, node: process.versions.node }, 1)
    this.facade = facadeCounters(registers)
    this.transfers = transferCounters(registers, this.#traffic)
    this.origin = originCounters(registers)
    this.directory = directoryCounters(registers)
    this.swarm = swarmCounters(registers, (bytes) => {
      this.#traffic.toPeers += bytes
    })
    observedMetrics(registers, () => this.#observed)
    this.#warnings = new Counter({
      name: 'shoal_log_lines_total',
      help: 'Warnings and errors, those left out of the log by sampling too.',
      labelNames: ['level'],
      registers,
    })
    this.#reloads = new Counter({
      name: 'shoal_config_reloads_total',
      help: 'Times that the configuration was read again, by outcome (applied, refused).',
      labelNames: ['outcome'],
      registers,
    })
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS,
      eventLoopUtilizationTimeout: EVENT_LOOP_UTILIZATION_MS,
    })
  }

  /** Bytes of blobs since the start, for the status of the agent. */
  get traffic(): Traffic {
    return { ...this.#traffic }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Every metric there is, whether it has a value yet or not. */
  get tree(): MetricDescription[] {
    const metrics = this.#registry.getMetricsAsArray() as unknown as (MetricDescription & { labelNames: string[] })[]
    return metrics.map(({ name, type, labelNames, help }) => ({ name, type, labels: labelNames, help }))
  }

  /** In Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  /** From now on these numbers are read at each scrape. */
  observe(observed: Observed): void {
    this.#observed = observed
  }

  logged(level: 'warn' | 'error'): void {
    this.#warnings.inc({ level })
  }

  reloaded(outcome: 'applied' | 'refused'): void {
    this.#reloads.inc({ outcome })
  }
}
