/**
 * Looks for peers that have a blob, for as long as somebody here is interested: a few connected ones at once, those that the directory knows as they are found, those that
 * other peers name; again and again with growing pauses. Owns the lookups and the dials of one interest, both bounded.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Abortable } from '../../blob/ports.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import { linkSignals } from '../../util/signals.ts'
import { nearestTo } from '../discovery/nearest.ts'
import type { Suppliers } from '../discovery/suppliers.ts'
import { FULL_MESH } from '../node/member-exchange.ts'
import { MAX_ASKED } from '../protocol/wire-messages.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Members, ProviderDirectory } from '../swarm-ports.ts'
import type { BlobInterest, Candidate } from './blob-interest.ts'

export interface PeerSearchComponents {
  readonly members: Pick<Members, 'connected' | 'connect' | 'self'>
  readonly directory: Pick<ProviderDirectory, 'find'>
  readonly suppliers: Suppliers
  readonly isBanned: (peer: string) => boolean
  readonly metrics: Pick<SwarmMetrics, 'searched'>
  readonly clock: Clock
  readonly log: Logger
  readonly interest: BlobInterest
}

/** Times in milliseconds. */
export interface PeerSearchLimits {
  /** After so long the first round counts as over. */
  readonly firstRoundMs: number
  readonly lookupMs: number
  /**
   * So long the connected ones that were asked may answer before the directory is searched for the first time; if this agent is connected
   * with everybody, who is asked hears of whoever has it: most blobs are here before a search, which takes many messages, is worth it.
   */
  readonly graceMs: { readonly some: number; readonly all: number }
  readonly dialMs: number
  /** Between rounds; the last one again and again. */
  readonly pausesMs: readonly number[]
}

export const SEARCH_LIMITS: PeerSearchLimits = {
  firstRoundMs: 1_000,
  lookupMs: 5_000,
  graceMs: { some: 5, all: 300 },
  dialMs: 2_000,
  pausesMs: [200, 500, 1_000, 2_000, 5_000],
}

/** These are asked about every blob, and told of each that is announced. */
export const NEAREST = 4
const SUPPLIERS = 4
const DIALS_AT_ONCE = 4
const DIALS_PER_ROUND = 24
/** Candidates that wait to be dialled; of more, some are forgotten at random. */
const MAX_POOL = 256
/** So many providers, or peers that want it too and will tell what they get, are enough not to look for more. */
const ENOUGH_PROVIDERS = 8

export class PeerSearch {
  readonly #components: PeerSearchComponents
  readonly #limits: PeerSearchLimits
  readonly #stopping = new AbortController()
  #pool: string[] = []
  #dials = new Set<Promise<void>>()
  #dialsLeft = DIALS_PER_ROUND
  #failed = new Set<string>()
  /** Peers that want it too. */
  readonly #wanting = new Set<string>()
  /** Aborted when there is a provider. */
  readonly #found = new AbortController()
  #isLooking = false
  #isFirstRound = true
  #startedAt = 0
  readonly #firstRound = Promise.withResolvers<void>()

  constructor(components: PeerSearchComponents, limits: PeerSearchLimits) {
    this.#components = components
    this.#limits = limits
  }

  /** Resolves when whoever can be found by now was. */
  get firstRound(): Promise<void> {
    return this.#firstRound.promise
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#stopping.abort(new DOMException('nobody wants to know', 'AbortError'))
    this.#pool = []
    this.#firstRound.resolve()
  }

  /** A peer that wants the same will have it soon. */
  alsoWants(peer: string): void {
    if (this.#wanting.size < MAX_ASKED) this.#wanting.add(peer)
    this.suggest(peer, 'asker')
  }

  /** A peer that may have it. */
  suggest(peer: string, candidate: Candidate = 'named'): void {
    const { members, isBanned, interest } = this.#components
    if (this.#stopping.signal.aborted || peer === members.self || isBanned(peer)) return
    if (members.connected.has(peer)) {
      interest.ask(peer, candidate)
      return
    }
    if (interest.hasAsked(peer)) return
    if (this.#failed.has(peer) || this.#pool.includes(peer)) return
    if (this.#pool.length < MAX_POOL) this.#pool.push(peer)
    else this.#pool[Math.floor(Math.random() * MAX_POOL)] = peer
    this.#dial()
  }

  /** An answer came, or will not come. */
  progressed(): void {
    if (this.#components.interest.providers > 0) this.#found.abort()
    const isOver = !this.#isLooking && this.#dials.size === 0 && this.#components.interest.unanswered === 0
    if (this.#isFirstRound && isOver) this.#endFirstRound()
  }

  get #company(): number {
    const { members, interest } = this.#components
    let company = 0
    for (const peer of this.#wanting) {
      if (!members.connected.has(peer)) this.#wanting.delete(peer)
      else if (interest.isAsked(peer)) company += 1
    }
    return company
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const { clock, interest } = this.#components
    this.#startedAt = clock()
    const deadline = setTimeout(() => this.#endFirstRound(), this.#limits.firstRoundMs)
    try {
      await this.#round({ signal })
      for (let turn = 0; !signal.aborted; turn++) {
        const pauseMs = this.#limits.pausesMs[Math.min(turn, this.#limits.pausesMs.length - 1)]
        await delay(pauseMs, undefined, { signal, ref: false })
        this.#failed.clear()
        this.#dialsLeft = DIALS_PER_ROUND
        if (interest.providers + this.#company < ENOUGH_PROVIDERS) await this.#round({ signal })
      }
    } catch (error) {
      if (!signal.aborted) this.#components.log.error({ err: error }, 'a search for peers failed')
    } finally {
      clearTimeout(deadline)
      this.#firstRound.resolve()
    }
  }

  async #round({ signal }: Abortable): Promise<void> {
    const { members, suppliers, interest } = this.#components
    const { digest, registry } = interest.key
    if (members.connected.size === 0) {
      this.progressed()
      return
    }
    this.#isLooking = true
    // where everybody is connected, those that are nearest are so for all, and know
    const hasAll = this.#isFirstRound && members.connected.size < FULL_MESH
    const recent = hasAll ? [] : suppliers.of(registry).filter((peer) => members.connected.has(peer))
    for (const peer of recent.slice(0, SUPPLIERS)) this.suggest(peer)
    for (const peer of nearestTo(digest, members.connected.keys(), NEAREST)) this.suggest(peer)
    // a connected one that has it, or knows who, answers before a lookup would
    if (this.#isFirstRound) await this.#grace({ signal })
    const isFound = this.#isFirstRound && interest.providers > 0
    if (!isFound) await this.#lookFurther({ signal })
    this.#isLooking = false
    this.progressed()
  }

  /** Ends early when a provider is found. */
  async #grace({ signal }: Abortable): Promise<void> {
    const { members, interest } = this.#components
    const { some, all } = this.#limits.graceMs
    const ms = members.connected.size < FULL_MESH ? all : some
    using linked = linkSignals([signal, this.#found.signal])
    if (interest.providers > 0) return
    await delay(ms, undefined, { signal: linked.signal, ref: false }).catch(() => signal.throwIfAborted())
  }

  /** Each of a few can be asked itself, which costs less than a lookup that goes to several of them. */
  async #lookFurther({ signal }: Abortable): Promise<void> {
    const { members, interest } = this.#components
    const areFew = members.connected.size <= MAX_ASKED
    if (areFew) for (const peer of members.connected.keys()) this.suggest(peer)
    if (!areFew || interest.providers + this.#company === 0) await this.#lookUp({ signal })
  }

  async #lookUp({ signal }: Abortable): Promise<void> {
    using linked = linkSignals([signal], this.#limits.lookupMs)
    const { directory, interest } = this.#components
    for await (const peer of directory.find(interest.key.digest, {
      signal: linked.signal,
      isQuick: this.#isFirstRound,
    })) {
      if (linked.signal.aborted) break
      this.suggest(peer, 'provider')
    }
  }

  #dial(): void {
    while (this.#pool.length > 0 && this.#dials.size < DIALS_AT_ONCE && this.#dialsLeft > 0) {
      this.#dialsLeft -= 1
      const [peer] = this.#pool.splice(Math.floor(Math.random() * this.#pool.length), 1)
      if (peer === undefined) return
      const dialling: Promise<void> = this.#connect(peer).finally(() => {
        this.#dials.delete(dialling)
        this.#dial()
        this.progressed()
      })
      this.#dials.add(dialling)
    }
  }

  async #connect(peer: string): Promise<void> {
    using linked = linkSignals([this.#stopping.signal], this.#limits.dialMs)
    try {
      await this.#components.members.connect(peer, { signal: linked.signal })
      // so few are dialled that they may take the place of who has nothing
      if (!linked.signal.aborted) this.#components.interest.ask(peer, 'provider')
    } catch {
      if (this.#failed.size < MAX_POOL) this.#failed.add(peer)
    }
  }

  #endFirstRound(): void {
    if (!this.#isFirstRound) return
    this.#isFirstRound = false
    const { clock, metrics, interest } = this.#components
    metrics.searched(interest.providers > 0 ? 'found' : 'nothing', (clock() - this.#startedAt) / 1000)
    this.#firstRound.resolve()
  }
}
