/**
 * The protocol `/shoal/swarm/1`: messages between this agent and each connected member. Owns the sessions. Who breaks the protocol loses its stream and standing; who
 * is slow loses what it did not take. Called by `SwarmDirectory`.
 */
import type { Stream } from '@libp2p/interface'
import { hasCode } from '../../errors.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Member, Members } from '../swarm-ports.ts'
import type { PeerLedger } from '../trust/peer-ledger.ts'
import { PeerSession, type SessionLimits } from './peer-session.ts'
import type { WireMessage } from './wire-messages.ts'

export const SWARM_PROTOCOL = '/shoal/swarm/1'

export const SESSION_LIMITS: SessionLimits = {
  maxQueuedBytes: 4 * 1024 * 1024,
  laterMs: 500,
  stallMs: 10_000,
  openMs: 5_000,
  messagesPerSecond: 1_000,
  bytesPerSecond: 4 * 1024 * 1024,
  messageMs: 30_000,
  retryMs: 100,
}

export interface SwarmProtocolComponents {
  readonly members: Members
  readonly ledger: Pick<PeerLedger, 'abused' | 'isBanned'>
  readonly metrics: Pick<SwarmMetrics, 'message'>
  readonly clock: Clock
  readonly log: Logger
}

export interface SwarmProtocolEvents {
  /** The peer's next message waits until this one is dealt with. @throws ShoalError PEER_MISBEHAVED for what no peer should say */
  message(peer: string, message: WireMessage): void | Promise<void>
  /** What the peer was told last may not have arrived; nothing can be sent until `resync`. */
  lost(peer: string): void
  /** What was said in either direction may have been lost: ask again, tell again. */
  resync(peer: string): void
}

export class SwarmProtocol {
  readonly #components: SwarmProtocolComponents
  readonly #limits: SessionLimits
  readonly #sessions = new Map<string, PeerSession>()
  #events: SwarmProtocolEvents | undefined
  #unsubscribe: (() => void) | undefined

  constructor(components: SwarmProtocolComponents, init: { readonly limits?: SessionLimits } = {}) {
    this.#components = components
    this.#limits = init.limits ?? SESSION_LIMITS
  }

  /** Before the members start. */
  start(events: SwarmProtocolEvents): void {
    const { members } = this.#components
    this.#events = events
    members.handle(SWARM_PROTOCOL, (stream, member) => this.#accept(stream, member))
    this.#unsubscribe = members.subscribe({ joined: () => {}, left: ({ id }) => this.#close(id) })
  }

  stop(): void {
    this.#unsubscribe?.()
    this.#events = undefined
    for (const peer of this.#sessions.keys()) this.#close(peer)
  }

  /** @returns false when it can't be sent now; true does not mean that it arrives */
  send(peer: string, message: WireMessage): boolean {
    const { members, ledger, metrics } = this.#components
    if (this.#events === undefined || !members.connected.has(peer) || ledger.isBanned(peer)) return false
    const isSent = this.#session(peer).send(message)
    if (isSent) metrics.message('out', message.type)
    return isSent
  }

  #accept(stream: Stream, member: Member): void {
    const { members, ledger } = this.#components
    if (this.#events === undefined || ledger.isBanned(member.id) || !members.connected.has(member.id)) {
      stream.abort(new Error('refused'))
      return
    }
    this.#session(member.id).receive(stream)
  }

  #session(peer: string): PeerSession {
    const known = this.#sessions.get(peer)
    if (known !== undefined) return known
    const { members, ledger, metrics, clock, log } = this.#components
    const session: PeerSession = new PeerSession(
      {
        clock,
        open: (options) => members.openStream(peer, SWARM_PROTOCOL, options),
        events: {
          message: (message) => {
            metrics.message('in', message.type)
            return this.#events?.message(peer, message)
          },
          outgoingLost: (error) => {
            log.debug({ peer, err: error }, 'the stream to a peer is lost')
            this.#events?.lost(peer)
          },
          incomingEnded: (error) => {
            if (hasCode(error, 'PEER_MISBEHAVED')) ledger.abused(peer, error)
            else log.debug({ peer, err: error }, 'the stream of a peer has ended')
          },
          resync: () => this.#events?.resync(peer),
        },
      },
      this.#limits,
    )
    this.#sessions.set(peer, session)
    return session
  }

  #close(peer: string): void {
    const session = this.#sessions.get(peer)
    this.#sessions.delete(peer)
    session?.close()
  }
}
