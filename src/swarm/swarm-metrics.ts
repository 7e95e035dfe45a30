import type { Ban } from './swarm-ports.ts'

/** What the swarm reports; `telemetry/metrics` counts it. */
export interface SwarmMetrics {
  /** A search for the peers of one blob had its first round. */
  searched(outcome: 'found' | 'nothing', seconds: number): void
  /** From the start of a search until the first peer said that it has a chunk. */
  firstProvider(seconds: number): void
  /** A key was given to the directory to be announced. */
  announced(kind: 'blob' | 'tag'): void
  /** One message of the swarm protocol. */
  message(direction: 'in' | 'out', type: string): void
  /** A coordinator's answer. `second`: for a chunk that is out already, and late. */
  leased(kind: 'granted' | 'second' | 'empty'): void
  /** As a coordinator: chunks that were not brought in time, and are free for others. */
  leasesExpired(chunks: number): void
  /** Another agent is asked for leases of a blob than before. */
  coordinatorChanged(): void
  banned(reason: Ban['reason']): void
  /** Bytes of blobs, whether they were good or not. `via`: the lane's own port or a libp2p stream. */
  received(via: 'lane' | 'stream', bytes: number): void
  /** @param peer who got them, for its standing: a label of a metric must not be a peer */
  sent(via: 'lane' | 'stream', bytes: number): void
  /** A peer's request for bytes has ended. `cut`: its body could not be completed, or the peer left. */
  laneServed(outcome: 'served' | 'lacked' | 'busy' | 'refused' | 'cut'): void
  /** A peer has answered a request, or will not. `left`: nobody needed it any more. */
  laneAsked(outcome: 'answered' | 'lacked' | 'busy' | 'unavailable' | 'misbehaved' | 'left'): void
}

/** For agents and tests that count nothing. */
export const noSwarmMetrics: SwarmMetrics = {
  searched: () => {},
  firstProvider: () => {},
  announced: () => {},
  message: () => {},
  leased: () => {},
  leasesExpired: () => {},
  coordinatorChanged: () => {},
  banned: () => {},
  received: () => {},
  sent: () => {},
  laneServed: () => {},
  laneAsked: () => {},
}
