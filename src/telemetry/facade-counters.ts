import { Counter, Histogram, type Registry } from '@prometheus-io/client'
import type { CacheStatus } from '../blob/services.ts'
import type { FacadeMetrics, RequestKind } from '../facade/facade-metrics.ts'

const FIRST_BYTE_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const BODY_SECONDS = [0.005, 0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 300, 1_800]

const BODY_SOURCES: Record<CacheStatus, string> = { hit: 'store', miss: 'transfer', 'pass-through': 'pass_through' }

export function facadeCounters(registers: Registry[]): FacadeMetrics {
  const requests = new Counter({
    name: 'shoal_facade_requests_total',
    help: 'Requests of clients by what they ask for and how they were answered (2xx …, cut, left).',
    labelNames: ['kind', 'outcome'],
    registers,
  })
  const failures = new Counter({
    name: 'shoal_facade_failures_total',
    help: 'Requests of clients that ended with an error, by its code: most clients go to the registry by themselves then.',
    labelNames: ['kind', 'code'],
    registers,
  })
  const stale = new Counter({
    name: 'shoal_facade_stale_answers_total',
    help: 'Manifests that were answered without the registry, which could not be asked.',
    registers,
  })
  const bytes = new Counter({
    name: 'shoal_facade_body_bytes_total',
    help: 'Bytes of blobs sent to clients, by where they came from (store, transfer, pass_through).',
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
  const whole = new Histogram({
    name: 'shoal_facade_body_seconds',
    help: 'From a request of a client to the last byte of its body, of bodies that were completed.',
    labelNames: ['kind'],
    buckets: BODY_SECONDS,
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
  const firsts = { blob: firstByte.labels({ kind: 'blob' }), manifest: firstByte.labels({ kind: 'manifest' }) }
  const wholes = { blob: whole.labels({ kind: 'blob' }), manifest: whole.labels({ kind: 'manifest' }) }
  return {
    answered: (kind, outcome) =>
      countOf(kind, typeof outcome === 'number' ? `${Math.floor(outcome / 100)}xx` : outcome).inc(),
    failed: (kind, code) => failures.inc({ kind, code }),
    stale: () => stale.inc(),
    firstByte: (kind, value) => firsts[kind].observe(value),
    lastByte: (kind, value) => wholes[kind].observe(value),
    served: (status, count) => bytes.inc({ source: BODY_SOURCES[status] }, count),
  }
}
