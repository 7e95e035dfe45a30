import { Counter, Histogram, type Registry } from '@prometheus-io/client'

const SEARCH_SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

type Via = 'lane' | 'stream'

/** What the swarm and its lane report, as `swarm/` names it. */
export interface SwarmCounters {
  searched(outcome: 'found' | 'nothing', seconds: number): void
  firstProvider(seconds: number): void
  announced(kind: 'blob' | 'tag'): void
  message(direction: 'in' | 'out', type: string): void
  /** A coordinator's answer. `second`: for a chunk that is out already, and late. */
  leased(kind: 'granted' | 'second' | 'empty'): void
  /** As a coordinator: chunks that were not brought in time, and are free for others. */
  leasesExpired(chunks: number): void
  /** Another agent is asked for leases of a blob than before. */
  coordinatorChanged(): void
  banned(reason: string): void
  received(via: Via, bytes: number): void
  sent(via: Via, bytes: number): void
  /** A peer's request for bytes has ended. `cut`: its body was not completed, or the peer left. */
  laneServed(outcome: 'served' | 'lacked' | 'busy' | 'refused' | 'cut'): void
  /** A peer has answered a request, or will not. `left`: nobody needed it any more. */
  laneAsked(outcome: 'answered' | 'lacked' | 'busy' | 'unavailable' | 'misbehaved' | 'left'): void
}

/** What the DHT's directory reports. */
export interface DirectoryCounters {
  /** @param seconds until the first provider, or until the search ended without one */
  lookedUp(found: boolean, seconds: number): void
  announced(outcome: 'sent' | 'failed'): void
}

export function directoryCounters(registers: Registry[]): DirectoryCounters {
  const lookups = new Histogram({
    name: 'shoal_dht_lookup_seconds',
    help: 'Lookups in the DHT, until the first provider or until nobody was found.',
    labelNames: ['outcome'],
    buckets: SEARCH_SECONDS,
    registers,
  })
  const announces = new Counter({
    name: 'shoal_dht_announces_total',
    help: 'Provider records that were sent to other agents, or could not be.',
    labelNames: ['outcome'],
    registers,
  })
  return {
    lookedUp: (found, seconds) => lookups.observe({ outcome: found ? 'found' : 'nobody' }, seconds),
    announced: (outcome) => announces.inc({ outcome }),
  }
}

/** @param onSent is told of all bytes that go to peers */
export function swarmCounters(registers: Registry[], onSent: (bytes: number) => void): SwarmCounters {
  const counter = <T extends string>(name: string, help: string, labelNames: T[]): Counter<T> =>
    new Counter({ name, help, labelNames, registers })
  const searches = new Histogram({
    name: 'shoal_swarm_search_seconds',
    help: 'First round of searches for the peers of a blob.',
    labelNames: ['outcome'],
    buckets: SEARCH_SECONDS,
    registers,
  })
  const firstProvider = new Histogram({
    name: 'shoal_swarm_first_provider_seconds',
    help: 'From the start of a search until the first peer said that it has a chunk.',
    buckets: SEARCH_SECONDS,
    registers,
  })
  const announces = counter('shoal_swarm_announces_total', 'Keys that were given to the directory.', ['kind'])
  const messages = counter('shoal_swarm_messages_total', 'Messages between agents.', ['direction', 'type'])
  const leases = counter(
    'shoal_swarm_leases_total',
    'Answers of this agent to those that would fetch from an origin, by kind (granted, second: of a chunk that is late elsewhere, empty).',
    ['kind'],
  )
  const expired = counter(
    'shoal_swarm_leases_expired_total',
    'Chunks that agents were given to fetch from an origin by this one and did not bring in time.',
    [],
  )
  const coordinators = counter(
    'shoal_swarm_coordinator_changes_total',
    'Times that this agent asked another one for leases of a blob than before.',
    [],
  )
  const bans = counter('shoal_swarm_bans_total', 'Peers that were shut out, by reason.', ['reason'])
  const received = counter('shoal_lane_received_bytes_total', 'Bytes from peers, good or not.', ['via'])
  const sent = counter('shoal_lane_sent_bytes_total', 'Bytes of blobs sent to peers.', ['via'])
  const served = counter('shoal_lane_requests_served_total', 'Requests of peers for bytes, by outcome.', ['outcome'])
  const asked = counter('shoal_lane_requests_total', 'Requests to peers for bytes, by outcome.', ['outcome'])
  return {
    searched: (outcome, seconds) => searches.observe({ outcome }, seconds),
    firstProvider: (seconds) => firstProvider.observe(seconds),
    announced: (kind) => announces.inc({ kind }),
    message: (direction, type) => messages.inc({ direction, type }),
    leased: (kind) => leases.inc({ kind }),
    leasesExpired: (chunks) => expired.inc(chunks),
    coordinatorChanged: () => coordinators.inc(),
    banned: (reason) => bans.inc({ reason }),
    received: (via, bytes) => received.inc({ via }, bytes),
    sent: (via, bytes) => {
      sent.inc({ via }, bytes)
      onSent(bytes)
    },
    laneServed: (outcome) => served.inc({ outcome }),
    laneAsked: (outcome) => asked.inc({ outcome }),
  }
}
