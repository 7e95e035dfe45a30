/** Leases of chunks, both sides: this agent asks coordinators, and is one. Owns both and what they say to each other. Called by `SwarmDirectory`. */

import { type Lateness, onTime } from '../../util/lateness.ts'
import type { BlobKey, HoldersMessage, LeasedMessage, LeaseMessage, WireMessage } from '../protocol/wire-messages.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Members } from '../swarm-ports.ts'
import type { PeerLedger } from '../trust/peer-ledger.ts'
import { LeaseClients } from './lease-clients.ts'
import { LeaseDesk } from './lease-desk.ts'

export interface LeasesComponents {
  readonly members: Pick<Members, 'self' | 'connected' | 'connect'>
  readonly ledger: Pick<PeerLedger, 'isBanned'>
  readonly metrics: Pick<SwarmMetrics, 'leased' | 'leasesExpired' | 'coordinatorChanged'>
  readonly lateness?: Lateness | undefined
  readonly send: (peer: string, message: WireMessage) => boolean
  /** Peers that have something of a blob that leases were asked for. */
  readonly named: (key: BlobKey, peers: readonly string[]) => void
}

export class Leases {
  /** What this agent asks for. */
  readonly asks: LeaseClients
  readonly #desk: LeaseDesk

  constructor({ members, ledger, metrics, send, named, lateness = onTime }: LeasesComponents) {
    // a wall clock may be set back
    const clock = (): number => performance.now()
    const answer = (peer: string, message: LeasedMessage | HoldersMessage): void => {
      // Not as a microtask: an agent that asks itself again and again must hear the others too.
      if (peer === members.self) setImmediate(() => this.message(peer, message))
      else send(peer, message)
    }
    this.#desk = new LeaseDesk({ members, clock, lateness, metrics, answer })
    this.asks = new LeaseClients({
      members,
      clock,
      lateness,
      metrics,
      send,
      named,
      isBanned: (peer) => ledger.isBanned(peer),
      askSelf: (message) => this.#desk.asked(members.self, message),
    })
  }

  /** As a coordinator: blobs, and chunks that are out. */
  get coordinated(): { readonly blobs: number; readonly chunksOut: number } {
    return { blobs: this.#desk.size, chunksOut: this.#desk.out }
  }

  message(peer: string, message: LeaseMessage | LeasedMessage | HoldersMessage): void {
    if (message.type === 'lease') this.#desk.asked(peer, message)
    else if (message.type === 'holders') this.asks.holders(peer, message)
    else this.asks.leased(peer, message)
  }

  /** A member is gone, or shut out. */
  drop(peer: string): void {
    this.#desk.drop(peer)
    this.asks.drop(peer)
  }

  stop(): void {
    this.asks.stop()
    this.#desk.stop()
  }
}
