/**
 * The other agents, as the core sees them: implements `Swarm` on membership, directory, lane and swarm protocol. Owns what belongs together of these: who is asked
 * about which blob, who is answered, what is proven. Created, started before the members, and stopped by `agent.ts`.
 */

import type { Abortable, BlobSwarm, SeenTag, SharedContent, Swarm, SwarmEvents } from '../blob/ports.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Lateness } from '../util/lateness.ts'
import type { Logger } from '../util/logger.ts'
import { RateLimit } from '../util/rate-limit.ts'
import { Holders } from './discovery/holders.ts'
import { nearestTo } from './discovery/nearest.ts'
import { Suppliers } from './discovery/suppliers.ts'
import { isSwarmDigest } from './encoding/digest-bytes.ts'
import { BlobInterests } from './exchange/blob-interests.ts'
import { OriginMemory } from './exchange/origin-memory.ts'
import { NEAREST, SEARCH_LIMITS } from './exchange/peer-search.ts'
import { QuestionDesk } from './exchange/question-desk.ts'
import { fetchSmall } from './exchange/small-blob-fetcher.ts'
import { WantDesk } from './exchange/want-desk.ts'
import { isSomewhere } from './exchange/whole-blob-search.ts'
import { Leases } from './leases/leases.ts'
import { SwarmProtocol } from './protocol/swarm-protocol.ts'
import type { BlobKey, WireMessage } from './protocol/wire-messages.ts'
import type { SwarmMetrics } from './swarm-metrics.ts'
import type { Ban, Lane, Members, ProviderDirectory } from './swarm-ports.ts'
import { OwnStatements } from './trust/own-statements.ts'
import type { PeerLedger } from './trust/peer-ledger.ts'
import type { PeerView } from './trust/peer-standing.ts'
import { ProofDesk } from './trust/proof-desk.ts'
import { StatementDesk } from './trust/statement-desk.ts'
import { tagKey } from './trust/tag-record.ts'

export interface SwarmDirectoryComponents {
  readonly members: Members
  readonly directory: ProviderDirectory
  readonly lane: Lane
  readonly content: SharedContent
  readonly ledger: PeerLedger
  readonly metrics: SwarmMetrics
  readonly clock: Clock
  /** Of this agent; never, where nothing is said. */
  readonly lateness?: Lateness | undefined
  readonly log: Logger
}

export interface SwarmDirectoryInit {
  /** Whether tags are asked about, announced and told. */
  readonly shareTags: boolean
}

/** Blobs whose nearest members are told at once; with a store full of them, the directory has to do. */
const HINT_RATE = { perSecond: 50, burst: 100 }

function findNobody(events: SwarmEvents): () => void {
  let hasLeft = false
  queueMicrotask(() => {
    if (!hasLeft) events.searched()
  })
  return () => {
    hasLeft = true
  }
}

export class SwarmDirectory implements Swarm {
  readonly #components: SwarmDirectoryComponents
  readonly #init: SwarmDirectoryInit
  readonly #protocol: SwarmProtocol
  readonly #statements: StatementDesk
  readonly #own: OwnStatements
  readonly #interests: BlobInterests
  readonly #wants: WantDesk
  readonly #proofs: ProofDesk
  readonly #questions: QuestionDesk
  readonly #memory: OriginMemory
  readonly #leases: Leases
  readonly #holders = new Holders()
  readonly #hints: RateLimit
  #subscriptions: (() => void)[] = []

  constructor(components: SwarmDirectoryComponents, init: SwarmDirectoryInit) {
    const { members, ledger } = components
    this.#components = components
    this.#init = init
    this.#protocol = new SwarmProtocol(components)
    this.#statements = new StatementDesk(components)
    const send = (peer: string, message: WireMessage): boolean => this.#protocol.send(peer, message)
    const suppliers = new Suppliers()
    this.#hints = new RateLimit(components, HINT_RATE)
    this.#own = new OwnStatements(components)
    this.#interests = new BlobInterests({ ...components, statements: this.#statements, suppliers, send }, SEARCH_LIMITS)
    this.#wants = new WantDesk({
      ...components,
      statements: this.#own,
      send,
      holders: (digest) => this.#holders.of(digest),
      self: members.self,
      hasHeard: (peer, key, statement) => this.#interests.hasHeard(peer, key, statement),
      hasChunk: (peer, key, index) => this.#interests.hasChunk(peer, key, index),
      asksMany: (key) => this.#interests.asksMany(key),
    })
    const verify = (peer: string, encoded: Uint8Array) => this.#statements.verifyFrom(peer, encoded)
    const show = (peer: string, proof: Uint8Array): boolean => send(peer, { type: 'ban', proof })
    this.#proofs = new ProofDesk({ ...components, show, verify })
    this.#questions = new QuestionDesk({ ...components, send }, init)
    this.#leases = new Leases({ ...components, send, named: (key, peers) => this.#interests.provided(key, peers) })
    this.#memory = new OriginMemory({
      ...components,
      members,
      questions: this.#questions,
      suppliers,
      isBanned: (peer) => ledger.isBanned(peer),
      abused: (peer, why) => ledger.abused(peer, why),
    })
  }

  /** Before the members start. */
  start(): void {
    const { members, ledger, content } = this.#components
    this.#protocol.start({
      message: (peer, message) => this.#onMessage(peer, message),
      lost: (peer) => {
        this.#wants.lost(peer)
        this.#questions.drop(peer)
      },
      resync: (peer) => {
        this.#wants.resync(peer)
        this.#interests.resync(peer)
      },
    })
    this.#subscriptions = [
      members.subscribe({
        joined: (member) => {
          ledger.joined(member)
          this.#interests.met(member.id)
          this.#proofs.joined(member.id)
          this.#leases.asks.met(member.id)
        },
        left: ({ id }) => {
          ledger.left(id)
          this.#wants.drop(id)
          this.#questions.drop(id)
          this.#interests.drop(id)
          this.#holders.drop(id)
          this.#leases.drop(id)
        },
      }),
      ledger.subscribe((ban) => this.#onBan(ban)),
      content.subscribe({
        added: (digest) => {
          this.#own.forget(digest)
          this.#wants.changed(digest)
          this.#proofs.added(digest)
        },
        removed: (digest) => {
          this.#own.forget(digest)
          this.#wants.changed(digest)
        },
      }),
    ]
  }

  stop(): void {
    for (const end of this.#subscriptions) end()
    this.#subscriptions = []
    this.#leases.stop()
    this.#interests.stop()
    this.#wants.stop()
    this.#proofs.stop()
    this.#protocol.stop()
  }

  get hasPeers(): boolean {
    return this.peerCount > 0
  }

  /** As a coordinator: blobs, and chunks that are out. */
  get coordinated(): { readonly blobs: number; readonly chunksOut: number } {
    return this.#leases.coordinated
  }

  get peerCount(): number {
    return this.#components.members.connected.size
  }

  /** Everybody who was seen lately, for people. */
  peers(): PeerView[] {
    return this.#components.ledger.peers()
  }

  bans(): Ban[] {
    return this.#components.ledger.bans()
  }

  /** Blobs that are looked for. */
  get interests(): number {
    return this.#interests.size
  }

  /** Blobs that peers want to know about. */
  get wants(): number {
    return this.#wants.size
  }

  /** Blobs that peers told this agent they have. */
  get hints(): number {
    return this.#holders.size
  }

  /** Proofs about blobs that are not here. */
  get pendingProofs(): number {
    return this.#proofs.pending
  }

  join({ digest, registry }: BlobKey, events: SwarmEvents): BlobSwarm {
    const key = { digest, registry }
    const endInterest = isSwarmDigest(digest) ? this.#interests.join(key, events) : findNobody(events)
    return {
      has: (indexes) => {
        this.#leases.asks.came(digest, indexes)
        this.#wants.gained(digest, indexes)
      },
      claim: (hashes) => {
        this.#leases.asks.came(digest, hashes.keys())
        this.#wants.gained(digest, hashes.keys(), hashes)
      },
      lease: (ask) => this.#leases.asks.ask(key, ask, events),
      settle: (hashes, statements) => this.#proofs.settle(digest, hashes, statements),
      leave: () => {
        this.#leases.asks.leave(key, events)
        endInterest()
      },
    }
  }

  announce(digest: Digest): void {
    if (!isSwarmDigest(digest)) return
    this.#components.metrics.announced('blob')
    this.#components.directory.announce(digest)
    if (!this.#hints.tryTake(1)) return
    const { members } = this.#components
    for (const peer of nearestTo(digest, members.connected.keys(), NEAREST)) {
      this.#protocol.send(peer, { type: 'here', digest })
    }
  }

  async fetchSmall(blob: BlobKey & { readonly maxBytes: number }, options: Abortable): Promise<Buffer | undefined> {
    if (!this.hasPeers || !isSwarmDigest(blob.digest)) return undefined
    return fetchSmall((key, events) => this.join(key, events), blob, options)
  }

  async hasBlob(blob: BlobKey, options: Abortable): Promise<boolean> {
    return this.hasPeers && (await isSomewhere((events) => this.join(blob, events), options))
  }

  announceTag(repository: Repository, tag: string): void {
    if (!this.#init.shareTags) return
    this.#components.metrics.announced('tag')
    this.#components.directory.announce(tagKey(repository, tag))
  }

  async findTag(repository: Repository, tag: string, options: Abortable): Promise<SeenTag | undefined> {
    return this.#init.shareTags ? this.#memory.tag(repository, tag, options) : undefined
  }

  findAdmission(
    repository: Repository,
    identities: readonly string[],
    options: Abortable,
  ): Promise<number | undefined> {
    return this.#memory.admission(repository, identities, options)
  }

  findLink(repository: Repository, digest: Digest, options: Abortable): Promise<boolean> {
    return this.#memory.isLinked(repository, digest, options)
  }

  #onMessage(peer: string, message: WireMessage): void | Promise<void> {
    if (this.#components.ledger.isBanned(peer)) return undefined
    this.#leases.asks.heard(peer)
    switch (message.type) {
      case 'want':
        // who is turned away here asks others
        if (this.#wants.want(peer, { digest: message.digest, registry: message.registry })) {
          this.#interests.alsoWants(peer, message)
        }
        return undefined
      case 'unwant':
        this.#wants.unwant(peer, message)
        return undefined
      case 'lease':
      case 'leased':
      case 'holders':
        return this.#leases.message(peer, message)
      case 'have':
      case 'more':
      case 'none':
      case 'full':
      case 'others':
        return this.#interests.message(peer, message)
      case 'here':
        this.#holders.note(peer, message.digest)
        return undefined
      case 'ban':
        return this.#proofs.shown(peer, message.proof)
      case 'ask':
        return this.#questions.asked(peer, message)
      case 'told':
        this.#questions.told(peer, message)
        return undefined
    }
  }

  #onBan(ban: Ban): void {
    const { members, log } = this.#components
    this.#interests.banned(ban)
    this.#wants.drop(ban.peer)
    this.#questions.drop(ban.peer)
    this.#leases.drop(ban.peer)
    members.disconnect(ban.peer).catch((error: unknown) => {
      log.debug({ peer: ban.peer, err: error }, 'a peer that is shut out could not be disconnected')
    })
  }
}
