/**
 * The standing of every peer, and who is shut out. Owns: counts per peer (the 1,000 seen last), bans (at most 1,000), which proofs have counted, the file that keeps both. A ban takes
 * effect here at once: `isBanned` says so from then on, and subscribers end what runs. Called by everything that deals with peers.
 */
import type { Conduct } from '../../blob/ports.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import { lru } from '../../util/lru.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Ban, Member } from '../swarm-ports.ts'
import { BanFile } from './ban-file.ts'
import { PeerStanding, type PeerView } from './peer-standing.ts'

const MINUTE_MS = 60_000
/** A false claim may be its origin's doing, a false map never is. */
const BAN_MS: Record<Ban['reason'], number> = {
  'false-map': 24 * 60 * MINUTE_MS,
  'false-claim': 10 * MINUTE_MS,
  'wrong-bytes': 10 * MINUTE_MS,
  protocol: 10 * MINUTE_MS,
}
const MAX_BANS = 1_000
const MAX_STANDINGS = 1_000
const MAX_SPENT = 4_096
/** So many abuses of the protocol within the window, and the peer is shut out. */
const ABUSES_FOR_BAN = 3
const ABUSE_WINDOW_MS = 10 * MINUTE_MS

export interface PeerLedgerComponents {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Pick<SwarmMetrics, 'banned'>
}

export class PeerLedger {
  readonly #components: PeerLedgerComponents
  readonly #file: BanFile | undefined
  readonly #standings = new Map<string, PeerStanding>()
  readonly #abuses = new Map<string, readonly number[]>()
  readonly #bans = new Map<string, Ban>()
  readonly #spent = lru<string, true>(MAX_SPENT)
  readonly #subscribers = new Set<(ban: Ban) => void>()

  /** @param init.file where bans are kept; undefined: they end with this process */
  constructor(components: PeerLedgerComponents, init: { readonly file: string | undefined }) {
    this.#components = components
    this.#file = init.file === undefined ? undefined : new BanFile(components, { path: init.file })
  }

  /** Takes up the bans of earlier runs. */
  async start(): Promise<void> {
    const now = this.#components.clock()
    const record = await this.#file?.load()
    for (const proof of record?.spent ?? []) this.#spent.set(proof, true)
    for (const ban of record?.bans ?? []) {
      // a clock that was wrong must not shut anybody out for years
      const until = Math.min(ban.until, now + BAN_MS[ban.reason])
      if (until > now) this.#bans.set(ban.peer, { ...ban, since: Math.min(ban.since, now), until })
    }
    this.#trimBans()
  }

  async stop(): Promise<void> {
    await this.#file?.flush()
  }

  isBanned(peer: string): boolean {
    const ban = this.#bans.get(peer)
    if (ban === undefined) return false
    const now = this.#components.clock()
    // the clock may be set back, by years
    if (ban.since > now) this.#bans.set(peer, { ...ban, since: now, until: now + BAN_MS[ban.reason] })
    else if (ban.until <= now) this.#bans.delete(peer)
    return this.#bans.has(peer)
  }

  /** @returns a function that ends it. A peer that is banned for longer is told of again. */
  subscribe(onBan: (ban: Ban) => void): () => void {
    this.#subscribers.add(onBan)
    return () => this.#subscribers.delete(onBan)
  }

  joined(member: Member): void {
    this.#standing(member.id).joined(member, this.#components.clock())
  }

  left(peer: string): void {
    this.#standings.get(peer)?.left(this.#components.clock())
  }

  /** Whether it was a member lately. */
  isKnown(peer: string): boolean {
    return this.#standings.get(peer)?.isMember ?? false
  }

  /** How it did on a request; wrong bytes shut it out. */
  report(peer: string, conduct: Conduct): void {
    this.#standing(peer).count(conduct, this.#components.clock())
    if (conduct.type === 'wrong-bytes') this.ban(peer, 'wrong-bytes')
  }

  /** Bytes of blobs that this agent gave it. */
  sent(peer: string, bytes: number): void {
    this.#standing(peer).countSent(bytes)
  }

  /** What no agent sends that works as it should. Again and again, it shuts the peer out. */
  abused(peer: string, why: unknown): void {
    const now = this.#components.clock()
    this.#standing(peer).countAbuse()
    this.#components.log.debug({ peer, err: why }, 'a peer breaks the protocol')
    const recent = [...(this.#abuses.get(peer) ?? []).filter((at) => at > now - ABUSE_WINDOW_MS), now]
    this.#abuses.delete(peer)
    this.#abuses.set(peer, recent)
    trim(this.#abuses, MAX_STANDINGS)
    if (recent.length >= ABUSES_FOR_BAN) this.ban(peer, 'protocol')
  }

  /** @param fromPeer the agent that showed the proof. @returns whether it is shut out for longer now than before */
  ban(peer: string, reason: Ban['reason'], fromPeer?: string): boolean {
    const since = this.#components.clock()
    const ban: Ban = { peer, reason, since, until: since + BAN_MS[reason], fromPeer }
    const before = this.isBanned(peer) ? this.#bans.get(peer) : undefined
    // several requests to one liar end at about the same time
    if (before !== undefined && (before.reason === reason || before.until >= ban.until)) return false
    this.#bans.set(peer, ban)
    this.#trimBans()
    this.#components.metrics.banned(reason)
    const { log } = this.#components
    // anybody can make up liars by the thousand
    const level = this.isKnown(peer) ? 'warn' : 'debug'
    log[level]({ peer, reason, fromPeer, until: ban.until }, 'peer is shut out')
    this.#save()
    for (const onBan of this.#subscribers) {
      try {
        onBan(ban)
      } catch (error) {
        log.error({ peer, err: error }, 'a subscriber of bans failed')
      }
    }
    return true
  }

  /** The proof has counted: shown again, after a restart or by whoever kept it, it must not shut out its signer for ever. */
  spend(proof: string): void {
    this.#spent.set(proof, true)
    this.#save()
  }

  isSpent(proof: string): boolean {
    return this.#spent.has(proof)
  }

  /** In force now. */
  bans(): Ban[] {
    return [...this.#bans.values()].filter(({ peer }) => this.isBanned(peer))
  }

  /** Everybody who was seen lately. */
  peers(): PeerView[] {
    return Array.from(this.#standings.values(), (standing) => standing.view())
  }

  standing(peer: string): PeerView | undefined {
    return this.#standings.get(peer)?.view()
  }

  #save(): void {
    this.#file?.save({ bans: [...this.#bans.values()], spent: [...this.#spent.rkeys()] })
  }

  #standing(peer: string): PeerStanding {
    const standing = this.#standings.get(peer) ?? new PeerStanding(peer, this.#components.clock())
    this.#standings.delete(peer)
    this.#standings.set(peer, standing)
    if (this.#standings.size > MAX_STANDINGS) {
      const idle = this.#standings.values().find((other) => !other.isConnected && other !== standing)
      if (idle !== undefined) this.#standings.delete(idle.id)
    }
    return standing
  }

  /** Proofs against made-up peers must not push out the bans of those that are really there. */
  #trimBans(): void {
    while (this.#bans.size > MAX_BANS) {
      const unknown = this.#bans.keys().find((peer) => !this.#standings.has(peer))
      const victim = unknown ?? this.#bans.keys().next().value
      if (victim === undefined) return
      this.#bans.delete(victim)
    }
  }
}

function trim(map: Map<string, unknown>, max: number): void {
  const oldest = map.size > max ? map.keys().next().value : undefined
  if (oldest !== undefined) map.delete(oldest)
}
