/**
 * The blobs that this agent looks for, each with its search. Owns interests from the first who joins to the last who leaves. Called by `SwarmDirectory`.
 */
import type { ChunkStatement, SwarmEvents } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import type { Suppliers } from '../discovery/suppliers.ts'
import type { BlobKey, BlobMessage, WireMessage } from '../protocol/wire-messages.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Ban, Lane, Members, ProviderDirectory } from '../swarm-ports.ts'
import type { PeerLedger } from '../trust/peer-ledger.ts'
import { type StatementDesk, statementKey } from '../trust/statement-desk.ts'
import { BlobInterest } from './blob-interest.ts'
import { PeerSearch, type PeerSearchLimits } from './peer-search.ts'

export interface BlobInterestsComponents {
  readonly members: Pick<Members, 'connected' | 'connect' | 'self'>
  readonly directory: Pick<ProviderDirectory, 'find'>
  readonly lane: Lane
  readonly ledger: Pick<PeerLedger, 'isBanned' | 'isKnown' | 'isSpent' | 'report' | 'abused'>
  readonly statements: StatementDesk
  readonly suppliers: Suppliers
  readonly metrics: Pick<SwarmMetrics, 'searched' | 'firstProvider'>
  readonly clock: Clock
  readonly log: Logger
  readonly send: (peer: string, message: WireMessage) => boolean
}

interface Entry {
  readonly interest: BlobInterest
  readonly search: PeerSearch
}

export class BlobInterests {
  readonly #components: BlobInterestsComponents
  readonly #limits: PeerSearchLimits
  readonly #entries = new Map<string, Entry>()

  constructor(components: BlobInterestsComponents, limits: PeerSearchLimits) {
    this.#components = components
    this.#limits = limits
  }

  get size(): number {
    return this.#entries.size
  }

  /** Nothing is told from within the call. @returns a function that ends it, after which nothing is told any more */
  join(key: BlobKey, events: SwarmEvents): () => void {
    const name = nameOf(key)
    const entry = this.#entries.get(name) ?? this.#open(name, key)
    const { interest, search } = entry
    let hasLeft = false
    queueMicrotask(() => {
      if (!hasLeft) interest.subscribe(events)
    })
    const onSearched = (): void => {
      if (!hasLeft) events.searched()
    }
    void search.firstRound.then(onSearched)
    interest.hold()
    return () => {
      if (hasLeft) return
      hasLeft = true
      interest.unsubscribe(events)
      if (interest.release()) this.#close(name)
    }
  }

  message(peer: string, message: BlobMessage): void | Promise<void> {
    return this.#entries.get(nameOf(message))?.interest.message(peer, message)
  }

  alsoWants(peer: string, key: BlobKey): void {
    this.#entries.get(nameOf(key))?.search.alsoWants(peer)
  }

  /** Peers that have something of it. */
  provided(key: BlobKey, peers: readonly string[]): void {
    for (const peer of peers) this.#entries.get(nameOf(key))?.search.suggest(peer, 'provider')
  }

  hasHeard(peer: string, key: BlobKey, statement: ChunkStatement): boolean {
    return this.#entries.get(nameOf(key))?.interest.hasHeard(peer, statement) ?? false
  }

  /** Whether the peer said that it has the chunk. */
  hasChunk(peer: string, key: BlobKey, index: number): boolean {
    return this.#entries.get(nameOf(key))?.interest.hasChunk(peer, index) ?? false
  }

  /** Whether as many are asked about it as may be. */
  asksMany(key: BlobKey): boolean {
    return this.#entries.get(nameOf(key))?.interest.asksMany ?? false
  }

  met(peer: string): void {
    for (const { interest } of this.#entries.values()) interest.met(peer)
  }

  drop(peer: string): void {
    for (const { interest } of this.#entries.values()) interest.drop(peer)
  }

  resync(peer: string): void {
    for (const { interest } of this.#entries.values()) interest.resync(peer)
  }

  banned(ban: Ban): void {
    for (const { interest } of this.#entries.values()) interest.banned(ban)
  }

  stop(): void {
    for (const name of this.#entries.keys()) this.#close(name)
  }

  #open(name: string, key: BlobKey): Entry {
    const { members, ledger, lane, statements, suppliers, metrics, clock, send } = this.#components
    const startedAt = clock()
    let isFirst = true
    const interest = new BlobInterest(
      {
        self: members.self,
        send,
        clock,
        known: (encoded) => statements.known(encoded),
        verify: (peer, encoded) => statements.verifyFrom(peer, encoded),
        isBanned: (peer) => ledger.isBanned(peer),
        isKnown: (peer) => ledger.isKnown(peer),
        isFalse: (statement) => ledger.isSpent(statementKey(statement)),
        misled: (peer) =>
          ledger.abused(
            peer,
            new ShoalError('PEER_MISBEHAVED', 'wrong bytes on the word of a peer that does not count'),
          ),
        prepare: (peer) => lane.prepare(peer),
        source: (peer) => ({
          lane,
          report: (conduct) => {
            if (conduct.type === 'delivered') suppliers.note(key.registry, peer)
            ledger.report(peer, conduct)
          },
        }),
        suggested: (peers) => {
          for (const peer of peers) search.suggest(peer)
        },
        answered: () => {
          if (isFirst && interest.providers > 0) {
            isFirst = false
            metrics.firstProvider((clock() - startedAt) / 1000)
          }
          search.progressed()
        },
      },
      key,
    )
    const isBanned = (peer: string): boolean => ledger.isBanned(peer)
    const search: PeerSearch = new PeerSearch({ ...this.#components, isBanned, interest }, this.#limits)
    const entry = { interest, search }
    this.#entries.set(name, entry)
    // whoever joins has to have its hands free first
    queueMicrotask(() => {
      if (this.#entries.get(name) === entry) search.start()
    })
    return entry
  }

  #close(name: string): void {
    const entry = this.#entries.get(name)
    this.#entries.delete(name)
    entry?.search.stop()
    entry?.interest.close()
  }
}

function nameOf({ digest, registry }: BlobKey): string {
  return `${digest} ${registry}`
}
