/**
 * Asks a blob's coordinator for leave to fetch chunks from the origin: the nearest to the digest of this agent and the members that it is connected with. Owns the ask
 * that waits for its answer. Invariants: one coordinator is asked at a time; there is always an answer, for when two do not answer, or are of no use, this agent
 * answers itself. A coordinator keeps nothing that the next one does not learn from the ask. Called by `LeaseClients`.
 */
import type { ChunkRange, Lease, LeaseAsk } from '../../blob/ports.ts'
import type { Clock } from '../../util/clock.ts'
import { type Lateness, patience } from '../../util/lateness.ts'
import { linkSignals } from '../../util/signals.ts'
import { nearestTo } from '../discovery/nearest.ts'
import {
  type BlobKey,
  type HoldersMessage,
  type LeasedMessage,
  type LeaseMessage,
  MAX_LEASE_CHUNKS,
  MAX_LEASE_RANGES,
  type WireMessage,
} from '../protocol/wire-messages.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Members } from '../swarm-ports.ts'
import type { AnswerTimes } from './answer-times.ts'
import { chunksIn, includesChunk, rangesOf } from './chunk-ranges.ts'

export interface LeaseClientComponents {
  readonly members: Pick<Members, 'self' | 'connected' | 'connect'>
  readonly isBanned: (peer: string) => boolean
  readonly send: (peer: string, message: WireMessage) => boolean
  /** This agent's own desk; it does not answer from within the call. */
  readonly askSelf: (message: LeaseMessage) => void
  /** Must not be set back. */
  readonly clock: Clock
  readonly lateness: Lateness
  readonly answerTimes: AnswerTimes
  readonly metrics: Pick<SwarmMetrics, 'coordinatorChanged'>
  readonly leased: (lease: Lease) => void
  /** They have something of what was asked for. */
  readonly named: (peers: readonly string[]) => void
}

/** Times in milliseconds. */
export interface LeaseClientLimits {
  /** Longer than a coordinator lets an ask wait; of one that took its time before, or by an agent that is late itself, more is put up with. */
  readonly answerMs: number
  /** The same for one that has said something else meanwhile: behind slow links answers take long. */
  readonly aliveMs: number
  readonly maxAnswerMs: number
  /** After so many that do not answer this agent answers itself. */
  readonly maxSilent: number
  /** For so long who did not answer is not asked. */
  readonly avoidMs: number
  readonly dialMs: number
  /** A coordinator that grants nothing for so long, while no chunk comes from anywhere, is left. Behind a slow link a chunk takes long. */
  readonly barrenMs: number
  /** From coordinator to coordinator that knows a nearer one. */
  readonly maxHops: number
  readonly maxDials: number
}

export const CLIENT_LIMITS: LeaseClientLimits = {
  answerMs: 1_500,
  aliveMs: 4_000,
  maxAnswerMs: 8_000,
  maxSilent: 2,
  avoidMs: 30_000,
  dialMs: 500,
  barrenMs: 15_000,
  maxHops: 3,
  maxDials: 8,
}

const BUSY_MS = 100
/** How far to look for one that is not avoided. */
const CANDIDATES = 8

interface Avoided {
  readonly until: number
  /** When it was asked. */
  readonly askedAt: number
}

export class LeaseClient {
  readonly #components: LeaseClientComponents
  readonly #limits: LeaseClientLimits
  readonly #key: BlobKey
  readonly #stopping = new AbortController()
  /** Waits for its answer. */
  #ask: LeaseAsk | undefined
  #size: number | undefined
  /** Granted, and not known to have come. */
  readonly #held = new Set<number>()
  #coordinator: string | undefined
  /** Serial of the last answer of each coordinator. */
  readonly #heard = new Map<string, number>()
  /** Coordinators that did not answer this ask. */
  #silent = 0
  /** Coordinators that granted nothing since something came. */
  #barren = 0
  /** When something was granted or came, or a coordinator was asked first. */
  #fedAt = -Infinity
  #askedAt = 0
  readonly #avoided = new Map<string, Avoided>()
  #timer: NodeJS.Timeout | undefined
  #hops = 0
  #dials = 0
  #isDialling = false

  constructor(components: LeaseClientComponents, key: BlobKey, limits: LeaseClientLimits = CLIENT_LIMITS) {
    this.#components = components
    this.#key = key
    this.#limits = limits
  }

  /** Whom it asked last. */
  get coordinator(): string | undefined {
    return this.#coordinator
  }

  ask(ask: LeaseAsk): void {
    const isFirst = this.#ask === undefined
    this.#ask = ask
    this.#size = ask.size
    if (!isFirst) {
      this.#say()
      return
    }
    this.#silent = 0
    this.#begin()
  }

  /** Chunks are here: an ask that waits says so, for others wait for what it held. */
  came(indexes: Iterable<number>): void {
    const came = new Set(indexes)
    if (came.size > 0) this.#fed()
    let isOwed = false
    for (const chunk of came) if (this.#held.delete(chunk)) isOwed = true
    if (this.#ask === undefined) return
    const { size, gaps, fetching, most } = this.#ask
    this.#ask = { size, gaps: without(gaps, came), fetching: without(fetching, came), most }
    if (isOwed) this.#say()
  }

  holders(peer: string, { peers }: HoldersMessage): void {
    if (peer === this.#coordinator) this.#components.named(peers)
  }

  leased(peer: string, message: LeasedMessage): void {
    const now = this.#components.clock()
    const avoided = this.#avoided.get(peer)
    if (peer !== this.#coordinator) {
      // late, but there
      if (avoided === undefined) return
      this.#components.answerTimes.took(peer, now - avoided.askedAt)
      this.#avoided.delete(peer)
      this.#heard.set(peer, message.serial)
      this.#hold(message.ranges)
      if (message.ranges.length > 0) this.#components.leased(message)
      return
    }
    const { ranges, forMs, members, serial, nearer } = message
    this.#heard.set(peer, serial)
    const isAwaited = this.#ask !== undefined
    if (isAwaited) this.#components.answerTimes.took(peer, now - this.#askedAt)
    this.#settle()
    if (ranges.length > 0) this.#fed()
    else if (now - this.#fedAt >= patience(this.#limits.barrenMs, this.#components.lateness.ms)) this.#leave(peer, now)
    this.#hold(ranges)
    if (nearer.length > 0) void this.#follow(peer, nearer)
    if (isAwaited || ranges.length > 0) this.#components.leased({ ranges, forMs, members })
  }

  /** A member has joined: whoever did not answer may do so now. */
  met(peer: string): void {
    this.#avoided.delete(peer)
  }

  /** A member is gone, or shut out. */
  drop(peer: string): void {
    if (peer === this.#coordinator && this.#ask !== undefined) this.#failed(peer)
  }

  /** Nobody needs leases any more: what was granted is given back. */
  close(): void {
    this.#stopping.abort(new DOMException('nobody wants leases', 'AbortError'))
    this.#settle()
    if (this.#coordinator === undefined || this.#size === undefined) return
    const gaps = rangesOf([...this.#held].toSorted((a, b) => a - b))
    this.#send(this.#coordinator, { size: this.#size, gaps, fetching: [], most: 0 }, true)
  }

  #hold(ranges: readonly ChunkRange[]): void {
    for (const chunk of chunksIn(ranges)) if (this.#held.size < MAX_LEASE_CHUNKS) this.#held.add(chunk)
  }

  #settle(): void {
    this.#ask = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #fed(): void {
    this.#fedAt = this.#components.clock()
    this.#barren = 0
  }

  /** It answers, and it is of no use. The next one gets as much time. */
  #leave(peer: string, now: number): void {
    this.#fedAt = now
    if (peer === this.#components.members.self) return
    this.#barren += 1
    this.#avoid(peer)
  }

  /** Asks the nearest one. */
  #begin(): void {
    this.#askedAt = this.#components.clock()
    for (;;) {
      const peer = this.#nearest()
      if (peer !== this.#coordinator) {
        if (this.#coordinator === undefined) this.#fedAt = this.#askedAt
        else this.#components.metrics.coordinatorChanged()
        this.#coordinator = peer
      }
      if (this.#say()) break
      this.#silent += 1
      this.#avoid(peer)
    }
    clearTimeout(this.#timer)
    if (this.#coordinator === undefined || this.#coordinator === this.#components.members.self) return
    this.#wait(this.#answerMs(this.#coordinator))
  }

  #answerMs(peer: string): number {
    const { lateness, answerTimes } = this.#components
    const { answerMs, maxAnswerMs } = this.#limits
    return Math.min(maxAnswerMs, Math.max(patience(answerMs, lateness.ms), answerTimes.patienceMs(peer)))
  }

  #wait(ms: number): void {
    const due = this.#components.clock() + ms
    const onTime = (): void => {
      // this agent was busy: the answer may be here, unread
      const now = this.#components.clock()
      if (now - due > BUSY_MS || this.#mayBeOnItsWay(now)) this.#wait(BUSY_MS)
      else if (this.#coordinator !== undefined) this.#failed(this.#coordinator)
    }
    this.#timer = setTimeout(onTime, ms).unref()
  }

  /** The coordinator is there: it has said something since it was asked, and not long ago. */
  #mayBeOnItsWay(now: number): boolean {
    const { answerMs, aliveMs } = this.#limits
    if (this.#coordinator === undefined || now - this.#askedAt >= aliveMs) return false
    return this.#components.answerTimes.wasHeardSince(this.#coordinator, Math.max(this.#askedAt, now - answerMs))
  }

  #failed(peer: string): void {
    this.#silent += 1
    this.#avoid(peer)
    this.#begin()
  }

  #avoid(peer: string): void {
    const now = this.#components.clock()
    for (const [other, { until }] of this.#avoided) if (until <= now) this.#avoided.delete(other)
    this.#avoided.set(peer, { until: now + this.#limits.avoidMs, askedAt: this.#askedAt })
  }

  #nearest(): string {
    const { members, clock, isBanned } = this.#components
    if (this.#silent + this.#barren >= this.#limits.maxSilent) return members.self
    const now = clock()
    const isUsable = (peer: string): boolean => (this.#avoided.get(peer)?.until ?? 0) <= now && !isBanned(peer)
    const nearest = nearestTo(this.#key.digest, [members.self, ...members.connected.keys()], CANDIDATES)
    return nearest.find((peer) => peer === members.self || isUsable(peer)) ?? members.self
  }

  #say(): boolean {
    if (this.#ask === undefined || this.#coordinator === undefined) return true
    return this.#send(this.#coordinator, this.#ask, false)
  }

  #send(peer: string, { size, gaps, fetching, most }: LeaseAsk, leaves: boolean): boolean {
    const message: LeaseMessage = {
      type: 'lease',
      ...this.#key,
      size,
      gaps: gaps.slice(0, MAX_LEASE_RANGES),
      fetching: fetching.slice(0, MAX_LEASE_RANGES),
      most: Math.min(MAX_LEASE_CHUNKS, most),
      heard: this.#heard.get(peer) ?? 0,
      leaves,
    }
    const { members, askSelf, send } = this.#components
    if (peer !== members.self) return send(peer, message)
    askSelf(message)
    return true
  }

  /** Connects with one that is nearer than who named it, so that it is asked from then on. */
  async #follow(namer: string, nearer: readonly string[]): Promise<void> {
    const { members, isBanned } = this.#components
    const { maxHops, maxDials, dialMs } = this.#limits
    const [peer] = nearestTo(this.#key.digest, nearer, 1)
    if (peer === undefined || this.#isDialling || this.#hops >= maxHops || this.#dials >= maxDials) return
    const isNearer = nearestTo(this.#key.digest, [namer, peer], 1)[0] === peer
    if (!isNearer || peer === namer || peer === members.self || members.connected.has(peer) || isBanned(peer)) return
    this.#isDialling = true
    this.#dials += 1
    using linked = linkSignals([this.#stopping.signal], dialMs)
    try {
      await members.connect(peer, { signal: linked.signal })
      this.#hops += 1
    } catch {
      // the one that is known goes on answering
    } finally {
      this.#isDialling = false
    }
  }
}

function without(ranges: readonly ChunkRange[], chunks: ReadonlySet<number>): ChunkRange[] {
  let rest = [...ranges]
  for (const chunk of chunks) {
    if (!includesChunk(rest, chunk)) continue
    rest = rest.flatMap(({ from, to }) =>
      chunk < from || chunk >= to
        ? [{ from, to }]
        : [
            { from, to: chunk },
            { from: chunk + 1, to },
          ].filter((part) => part.from < part.to),
    )
  }
  return rest
}
