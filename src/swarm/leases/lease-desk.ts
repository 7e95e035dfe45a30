/**
 * This agent as a coordinator: answers members that ask for leave to fetch chunks from the origin, about any blob that they take it to be nearest to. Owns the lease
 * tables, all of them soft state, and the timer that runs while one of them has something to do. Called by `SwarmDirectory`.
 */
import { planChunks } from '../../blob/chunk-plan.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Clock } from '../../util/clock.ts'
import type { Lateness } from '../../util/lateness.ts'
import { nearestTo } from '../discovery/nearest.ts'
import {
  type BlobKey,
  type HoldersMessage,
  type LeasedMessage,
  type LeaseMessage,
  MAX_ASKED,
  MAX_HOLDERS,
  MAX_NEARER,
} from '../protocol/wire-messages.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Members } from '../swarm-ports.ts'
import { type LeaseAnswer, LeaseTable } from './lease-table.ts'

export interface LeaseDeskComponents {
  readonly members: Pick<Members, 'self' | 'connected'>
  /** Must not be set back. */
  readonly clock: Clock
  readonly lateness: Lateness
  readonly metrics: Pick<SwarmMetrics, 'leased' | 'leasesExpired'>
  /** To a member, or to this agent itself. */
  readonly answer: (peer: string, message: LeasedMessage | HoldersMessage) => void
}

/** Times in milliseconds. */
export interface LeaseDeskLimits {
  readonly maxTables: number
  /** Opened by one member. */
  readonly maxTablesPerPeer: number
  /** Bytes of all tables, and of those that one member opened; what a table takes is estimated. */
  readonly maxBytes: number
  readonly maxBytesPerPeer: number
  readonly tickMs: number
  /** A table that nobody asked for so long is forgotten. */
  readonly idleMs: number
  readonly nearerMs: number
  /** Where no more agents take part, each hears from all the others what they have. */
  readonly metByAll: number
}

export const DESK_LIMITS: LeaseDeskLimits = {
  maxTables: 1_024,
  maxTablesPerPeer: 128,
  maxBytes: 64 * 1024 * 1024,
  maxBytesPerPeer: 16 * 1024 * 1024,
  tickMs: 50,
  idleMs: 600_000,
  nearerMs: 1_000,
  metByAll: MAX_ASKED,
}

/**
 * An agent that asks here first is sent on to a nearer one so often, and asks again after so many milliseconds: of two coordinators each would let the agents fetch the same. If it comes back all the
 * same, that one can't be reached, and nobody is sent there for a while.
 */
export const SENT_ON_MS: readonly number[] = [100, 300]
export const CAME_BACK_MS = 10_000
const MAX_SENT_ON = 4_096
const SENT_ON_BYTES = 128

interface Entry {
  readonly key: BlobKey
  readonly name: string
  readonly table: LeaseTable
  /** Who asked first. */
  readonly opener: string
  usedAt: number
  /** As counted last. */
  bytes: number
  /** Leases that ran out, as far as they were counted. */
  expired: number
  nearer: readonly string[]
  nearerAt: number
  /** How often agents were sent on. */
  readonly sentOn: Map<string, number>
  /** When the last one came back. */
  backAt: number
}

/** Tables that one member opened. */
interface Opened {
  count: number
  bytes: number
}

export class LeaseDesk {
  readonly #components: LeaseDeskComponents
  readonly #limits: LeaseDeskLimits
  /** The one asked least lately first. */
  readonly #tables = new Map<string, Entry>()
  readonly #opened = new Map<string, Opened>()
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #isTicking = false

  constructor(components: LeaseDeskComponents, limits: LeaseDeskLimits = DESK_LIMITS) {
    this.#components = components
    this.#limits = limits
  }

  /** Blobs that it coordinates. */
  get size(): number {
    return this.#tables.size
  }

  /** Chunks that are out. */
  get out(): number {
    let out = 0
    for (const { table } of this.#tables.values()) out += table.out
    return out
  }

  asked(peer: string, message: LeaseMessage): void {
    const now = this.#components.clock()
    const entry = this.#entryFor(peer, message, now)
    entry.usedAt = now
    this.#tables.delete(entry.name)
    this.#tables.set(entry.name, entry)
    if (!this.#sendsOn(peer, entry, message)) this.#settle(peer, entry, message)
    this.#weigh(entry)
    this.#makeRoom(entry)
    this.#schedule()
  }

  #settle(peer: string, entry: Entry, message: LeaseMessage): void {
    const now = entry.usedAt
    const { leaves, heard } = message
    const answers = entry.table.ask(peer, leaves ? { ...message, most: 0 } : message, now, heard)
    if (leaves) answers.push(...entry.table.withdraw(peer, now))
    this.#answer(entry, leaves ? answers.filter(({ agent }) => agent !== peer) : answers, now)
    if (!leaves) this.#nameHolders(peer, entry, message)
  }

  #sendsOn(peer: string, entry: Entry, { leaves }: LeaseMessage): boolean {
    const { table, key, sentOn, usedAt } = entry
    if (leaves || table.has(peer) || peer === this.#components.members.self) return false
    const nearer = this.#nearer(entry, usedAt).filter((other) => other !== peer)
    const times = sentOn.get(peer) ?? 0
    const forMs = SENT_ON_MS[times]
    if (nearer.length === 0 || sentOn.size >= MAX_SENT_ON || usedAt - entry.backAt < CAME_BACK_MS) return false
    if (forMs === undefined) {
      entry.backAt = usedAt
      return false
    }
    sentOn.set(peer, times + 1)
    const members = table.members + sentOn.size
    this.#components.metrics.leased('empty')
    this.#components.answer(peer, { type: 'leased', ...key, ranges: [], forMs, members, serial: 0, nearer })
    return true
  }

  /** The peer is gone, or shut out. */
  drop(peer: string): void {
    const now = this.#components.clock()
    for (const entry of this.#tables.values()) {
      if (entry.table.has(peer)) this.#answer(entry, entry.table.drop(peer, now), now)
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isTicking = false
    this.#tables.clear()
    this.#opened.clear()
    this.#bytes = 0
  }

  /** Agents that disagree about the size are kept apart. */
  #entryFor(peer: string, { digest, registry, size }: LeaseMessage, now: number): Entry {
    const name = `${digest} ${size} ${registry}`
    const known = this.#tables.get(name)
    if (known !== undefined) return known
    if ((this.#opened.get(peer)?.count ?? 0) >= this.#limits.maxTablesPerPeer) this.#forgetOne(peer)
    else if (this.#tables.size >= this.#limits.maxTables) this.#forgetOne(this.#largest('count'))
    const table = new LeaseTable({ count: planChunks(size).count, lateness: this.#components.lateness })
    const key = { digest, registry }
    const entry: Entry = {
      key,
      name,
      table,
      opener: peer,
      usedAt: now,
      bytes: 0,
      expired: 0,
      nearer: [],
      nearerAt: -Infinity,
      sentOn: new Map(),
      backAt: -Infinity,
    }
    this.#tables.set(name, entry)
    const opened = this.#opened.get(peer) ?? { count: 0, bytes: 0 }
    opened.count += 1
    this.#opened.set(peer, opened)
    return entry
  }

  /** Who opened most. */
  #largest(by: keyof Opened): string {
    let largest = ''
    for (const [peer, opened] of this.#opened) {
      if (opened[by] > (this.#opened.get(largest)?.[by] ?? -1)) largest = peer
    }
    return largest
  }

  #weigh(entry: Entry): void {
    const bytes = entry.table.bytes + SENT_ON_BYTES * entry.sentOn.size
    const more = bytes - entry.bytes
    entry.bytes = bytes
    this.#bytes += more
    const opened = this.#opened.get(entry.opener)
    if (opened !== undefined) opened.bytes += more
  }

  /** Whoever opened too much pays first, with what was asked for least lately. */
  #makeRoom(asked: Entry): void {
    const { maxBytes, maxBytesPerPeer } = this.#limits
    const isMuch = (): boolean => (this.#opened.get(asked.opener)?.bytes ?? 0) > maxBytesPerPeer
    while (isMuch() && this.#forgetOne(asked.opener, asked)) {}
    while (this.#bytes > maxBytes && this.#forgetOne(this.#largest('bytes'), asked)) {}
  }

  /** The oldest of those that the peer opened, an idle one if there is one. @returns whether there was any other than `kept` */
  #forgetOne(opener: string, kept?: Entry): boolean {
    const own = [...this.#tables.values()].filter((entry) => entry.opener === opener && entry !== kept)
    const victim = own.find(({ table }) => table.isIdle) ?? own[0]
    if (victim !== undefined) this.#forget(victim)
    return victim !== undefined
  }

  /** Asks that wait there are answered: else their agents would take this one for silent. */
  #forget(entry: Entry): void {
    const { name, opener, table, bytes } = entry
    this.#tables.delete(name)
    this.#bytes -= bytes
    const now = this.#components.clock()
    this.#answer(entry, table.close(now), now)
    const opened = this.#opened.get(opener)
    if (opened === undefined) return
    opened.count -= 1
    opened.bytes -= bytes
    if (opened.count === 0) this.#opened.delete(opener)
  }

  #answer(entry: Entry, answers: readonly LeaseAnswer[], now: number): void {
    const { answer, metrics } = this.#components
    const { expired } = entry.table
    if (expired > entry.expired) metrics.leasesExpired(expired - entry.expired)
    entry.expired = expired
    for (const { agent, lease, serial, kind } of answers) {
      metrics.leased(kind)
      const nearer = this.#nearer(entry, now).filter((peer) => peer !== agent)
      answer(agent, { type: 'leased', ...entry.key, ...lease, serial, nearer })
    }
  }

  /** Of chunks that the peer lacks: it may hear of others only. */
  #nameHolders(peer: string, { key, table }: Entry, { gaps }: LeaseMessage): void {
    if (table.members <= this.#limits.metByAll) return
    const peers = table.bringers(gaps, MAX_HOLDERS + 1).filter((holder) => holder !== peer)
    if (peers.length === 0) return
    this.#components.answer(peer, { type: 'holders', ...key, peers: peers.slice(0, MAX_HOLDERS) })
  }

  /** Connected members that agents had better ask. */
  #nearer(entry: Entry, now: number): readonly string[] {
    if (now - entry.nearerAt >= this.#limits.nearerMs) {
      entry.nearerAt = now
      entry.nearer = nearerThan(entry.key.digest, this.#components.members)
    }
    return entry.nearer
  }

  #schedule(): void {
    if (this.#isTicking) return
    const isBusy = this.#tables.values().some(({ table }) => !table.isIdle)
    if (!isBusy && this.#timer !== undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#tables.size === 0) return
    this.#isTicking = isBusy
    this.#timer = setTimeout(() => this.#tick(), isBusy ? this.#limits.tickMs : this.#limits.idleMs).unref()
  }

  #tick(): void {
    this.#timer = undefined
    this.#isTicking = false
    const now = this.#components.clock()
    for (const entry of this.#tables.values()) {
      if (!entry.table.isIdle) this.#answer(entry, entry.table.tick(now), now)
      else if (now - entry.usedAt >= this.#limits.idleMs) this.#forget(entry)
    }
    this.#schedule()
  }
}

function nearerThan(digest: Digest, { self, connected }: Pick<Members, 'self' | 'connected'>): string[] {
  const order = nearestTo(digest, [self, ...connected.keys()], MAX_NEARER + 1)
  const at = order.indexOf(self)
  return at < 0 ? order.slice(0, MAX_NEARER) : order.slice(0, at)
}
