import { Counter, Histogram, type Registry } from '@prometheus-io/client'
import type { TransferMetrics } from '../blob/ports.ts'

const TRANSFER_SECONDS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800]

/** Added up beside the counters, for the status of the agent. */
interface Received {
  fromOrigin: number
  fromPeers: number
  wasted: number
}

/** @param traffic is kept up to date */
export function transferCounters(registers: Registry[], traffic: Received): TransferMetrics {
  const received = new Counter({
    name: 'shoal_received_bytes_total',
    help: 'Bytes of blobs received, by kind of source (origin, peer).',
    labelNames: ['source'],
    registers,
  })
  const wasted = new Counter({
    name: 'shoal_wasted_bytes_total',
    help: 'Bytes received and thrown away, by kind of source: wrong, or here already.',
    labelNames: ['source'],
    registers,
  })
  const verified = new Counter({
    name: 'shoal_chunks_verified_total',
    help: 'Chunks that were hashed and are not other than what is stated of them.',
    registers,
  })
  const rejected = new Counter({
    name: 'shoal_chunks_rejected_total',
    help: 'Chunks that were thrown away because they are not what was stated, by kind of source.',
    labelNames: ['source'],
    registers,
  })
  const ended = new Histogram({
    name: 'shoal_transfer_seconds',
    help: 'Duration of transfers by outcome (complete, failed, mismatched, abandoned).',
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
  const withoutLeave = new Counter({
    name: 'shoal_chunks_without_leave_total',
    help: 'Chunks from an origin that no coordinator had given to this agent: it is alone, was not answered, or was late.',
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
    verified: () => verified.inc(),
    rejected: (source) => rejected.inc({ source }),
    transferEnded: (outcome, value) => ended.observe({ outcome }, value),
    duplicated: (source) => duplicated.inc({ source }),
    withoutLeave: () => withoutLeave.inc(),
    passedThrough: () => passed.inc(),
  }
}
