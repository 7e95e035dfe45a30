import { Counter, Gauge, type Registry } from '@prometheus-io/client'

/** Read when somebody asks for the metrics. */
export interface Observed {
  isReady(): boolean
  store(): {
    readonly blobs: number
    readonly bytes: number
    readonly partialBytes: number
    readonly quotaBytes: number
    readonly isWritable: boolean
    readonly evictedBlobs: number
    readonly evictedBytes: number
    readonly writeFailures: number
  }
  runningTransfers(): number
  swarm(): {
    /** Whether it takes part in one. */
    readonly isMember: boolean
    readonly connectedPeers: number
    readonly bannedPeers: number
    /** Provider records held for others. */
    readonly records: number
    /** As a coordinator: blobs, and chunks that are out. */
    readonly coordinated: { readonly blobs: number; readonly chunksOut: number }
    /** Connections for bulk bytes. */
    readonly laneIn: number
    readonly laneOut: number
    /** Peers that were turned away at the handshake, by reason. */
    readonly refusals: Readonly<Record<string, number>>
  }
}

/** Metrics that are read at each scrape from the components that own the numbers; nothing before they are there. */
export function observedMetrics(registers: Registry[], observed: () => Observed | undefined): void {
  const gauges: [name: string, help: string, read: (from: Observed) => number][] = [
    ['shoal_ready', '1 while the agent serves pulls.', (from) => Number(from.isReady())],
    ['shoal_store_bytes', 'Bytes of complete blobs in the store.', (from) => from.store().bytes],
    ['shoal_store_blobs', 'Complete blobs in the store.', (from) => from.store().blobs],
    [
      'shoal_store_partial_bytes',
      'Bytes of blobs on their way in, counted at their full size.',
      (from) => from.store().partialBytes,
    ],
    ['shoal_store_quota_bytes', 'Bytes that the store may hold.', (from) => from.store().quotaBytes],
    [
      'shoal_store_writable',
      '0 while the disk takes nothing and blobs are passed through.',
      (from) => Number(from.store().isWritable),
    ],
    ['shoal_transfers_running', 'Blobs on their way in.', (from) => from.runningTransfers()],
    ['shoal_swarm_member', '1 when the agent takes part in a swarm.', (from) => Number(from.swarm().isMember)],
    ['shoal_swarm_peers', 'Agents that are connected.', (from) => from.swarm().connectedPeers],
    ['shoal_swarm_banned_peers', 'Agents that are shut out now.', (from) => from.swarm().bannedPeers],
    ['shoal_dht_records', 'Provider records held for the swarm.', (from) => from.swarm().records],
    [
      'shoal_swarm_coordinated_blobs',
      'Blobs for which this agent says who fetches what from the origin.',
      (from) => from.swarm().coordinated.blobs,
    ],
    [
      'shoal_swarm_leases_out',
      'Chunks that agents were given to fetch from an origin by this one and have not brought yet.',
      (from) => from.swarm().coordinated.chunksOut,
    ],
  ]
  for (const [name, help, read] of gauges) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers,
      collect: () => {
        const from = observed()
        if (from !== undefined) gauge.set(read(from))
      },
    })
  }
  const lane: Gauge<'direction'> = new Gauge({
    name: 'shoal_lane_connections',
    help: 'Open connections for bulk bytes, by who opened them (in: a peer, out: this agent).',
    labelNames: ['direction'],
    registers,
    collect: () => {
      const swarm = observed()?.swarm()
      if (swarm === undefined) return
      lane.set({ direction: 'in' }, swarm.laneIn)
      lane.set({ direction: 'out' }, swarm.laneOut)
    },
  })
  const counters: [name: string, help: string, read: (from: Observed) => number][] = [
    ['shoal_store_evicted_blobs_total', 'Blobs that had to make room.', (from) => from.store().evictedBlobs],
    ['shoal_store_evicted_bytes_total', 'Bytes of blobs that had to make room.', (from) => from.store().evictedBytes],
    [
      'shoal_store_write_failures_total',
      'Times that the disk did not take what was to be written.',
      (from) => from.store().writeFailures,
    ],
  ]
  for (const [name, help, read] of counters) {
    const counter: Counter = new Counter({
      name,
      help,
      registers,
      collect: () => {
        const from = observed()
        if (from === undefined) return
        counter.reset()
        counter.inc(read(from))
      },
    })
  }
  const refusals: Counter<'reason'> = new Counter({
    name: 'shoal_swarm_refusals_total',
    help: 'Handshakes of the swarm that came to nothing, by reason (wrong-secret and not-allowed: found here; secret-refused and id-refused: the other side ended it; malformed, failed).',
    labelNames: ['reason'],
    registers,
    collect: () => {
      const swarm = observed()?.swarm()
      if (swarm === undefined) return
      refusals.reset()
      for (const [reason, count] of Object.entries(swarm.refusals)) refusals.inc({ reason }, count)
    },
  })
}
