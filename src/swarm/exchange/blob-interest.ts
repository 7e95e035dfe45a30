/**
 * This agent's interest in one blob in the name of one registry, shared by all who joined it. Owns: which peers were asked, what each has, which statements were
 * heard. Invariants: a statement is told before the chunks that it is about; a peer is `found` once until it has `left`; at most `MAX_ASKED` peers
 * stand asked, and a bounded number of others that are known to have something or asked this agent; only members' statements are told, for anybody can make up as many signers as he likes: what a stranger signed waits until it was met. Fed by `SwarmDirectory` with messages, and by `PeerSearch` with candidates.
 */
import type { ChunkStatement, SwarmEvents } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import type { Clock } from '../../util/clock.ts'
import {
  type BlobKey,
  type BlobMessage,
  type HaveMessage,
  MAX_ASKED,
  MAX_TOLD,
  type MoreMessage,
  type WireMessage,
} from '../protocol/wire-messages.ts'
import type { Ban } from '../swarm-ports.ts'
import { statementKey } from '../trust/statement-desk.ts'
import { RemoteBlob, type RemoteBlobComponents } from './remote-blob.ts'

/** Beside them, such as are known to have something: of many agents, they are not all the same that hear each other. */
export const MAX_PROVIDERS_BESIDE = 8
/** Each costs memory and a place in every message about it. */
const MAX_STATEMENTS = 4_096
const MAX_OF_STRANGERS = 256
const MAX_UNTOLD = 64
/** Who has not answered by then gives way to others. */
const ANSWER_MS = 2_000
/**
 * So does who has nothing by then. At once it does so only for one that is known to have something: where all begin at the same
 * moment nobody has anything, and with more than `MAX_ASKED` of them each would give up one for the other without end.
 */
const NOTHING_MS = 2_000
/** For peers of which nothing is known somebody gives way no more often: each change costs both sides several messages. */
export const CHANGE_MS = 500
/** Who tells as many as it can is not asked again for so long. */
const FULL_MS = 3_000
const MAX_FULL = 256
/** With so many a connection is opened as soon as they say that they have something: they are asked first. */
const PREPARED = 2

export interface BlobInterestComponents {
  readonly self: string
  readonly send: (peer: string, message: WireMessage) => boolean
  /** What was verified before, without waiting. */
  readonly known: (encoded: Uint8Array) => ChunkStatement | undefined
  /** @throws ShoalError PEER_MISBEHAVED */
  readonly verify: (peer: string, encoded: Uint8Array) => Promise<ChunkStatement>
  readonly isBanned: (peer: string) => boolean
  /** Whether this agent has met the peer as a member. */
  readonly isKnown: (peer: string) => boolean
  /** Whether the statement was found to be false before. */
  readonly isFalse: (statement: ChunkStatement) => boolean
  /** The peer sent wrong bytes which it may have taken for good on the word of a signer that does not count here. */
  readonly misled: (peer: string) => void
  readonly source: (peer: string) => RemoteBlobComponents
  /** The peer will be asked for bytes. */
  readonly prepare: (peer: string) => void
  readonly clock: Clock
  /** Peers that are said to want it too. */
  readonly suggested: (peers: readonly string[]) => void
  /** A peer answered, or no longer can. */
  readonly answered: () => void
}

/** What is known of a peer that is asked: that somebody named it, that it has something, or that it has asked this agent. */
export type Candidate = 'named' | 'provider' | 'asker'

/** How many stand asked when one more may be asked without another giving way. Who asked this agent takes no place of those that are known to have something. */
export function hasPlaceFor(
  candidate: Candidate,
  asked: { readonly askers: number; readonly others: number },
): boolean {
  const { askers, others } = asked
  if (candidate === 'provider') return others < MAX_ASKED + MAX_PROVIDERS_BESIDE
  return askers + others < (candidate === 'asker' ? MAX_TOLD : MAX_ASKED)
}

interface Asked {
  /** `asking`: it has not answered. */
  state: 'asking' | 'none' | RemoteBlob
  readonly candidate: Candidate
  /** It has asked this agent: it wants the same, and will have it. */
  wantsToo: boolean
  readonly at: number
  /** It says that it has chunks, and requests to it fail: others must not stay away because of it. */
  isPoor: boolean
  /** Statements that it sent: it need not be told them. */
  readonly heard: Set<string>
  /** Of those, some that do not count here. */
  readonly untold: ChunkStatement[]
}

/** About what a signer has spoken. */
interface Said {
  hasMap: boolean
  readonly indexes: Set<number>
}

export class BlobInterest {
  readonly key: BlobKey
  readonly #components: BlobInterestComponents
  readonly #asked = new Map<string, Asked>()
  /** When somebody last gave way. */
  #changedAt = -Infinity
  /** By peer, when it turned this agent away; the first one first. */
  readonly #full = new Map<string, number>()
  readonly #stated = new Map<string, ChunkStatement>()
  /** By signer. Who says the same things again and again leaves no room for others. */
  readonly #said = new Map<string, Said>()
  /** Signed by peers that were never met. */
  readonly #ofStrangers = new Map<string, ChunkStatement>()
  readonly #subscribers = new Set<SwarmEvents>()
  /** Who joined, whether or not it listens yet. */
  #holders = 0

  constructor(components: BlobInterestComponents, key: BlobKey) {
    this.#components = components
    this.key = key
  }

  hold(): void {
    this.#holders += 1
  }

  /** @returns whether nobody holds it any more */
  release(): boolean {
    this.#holders -= 1
    return this.#holders === 0
  }

  /** Peers that were asked and have not answered. */
  get unanswered(): number {
    return this.#count((state) => state === 'asking')
  }

  /** Peers that have at least one chunk and give it. */
  get providers(): number {
    return this.#count((state, isPoor) => state instanceof RemoteBlob && !isPoor)
  }

  /** Tells at once what is known already. */
  subscribe(events: SwarmEvents): void {
    this.#subscribers.add(events)
    for (const statement of this.#stated.values()) events.stated(statement)
    for (const { state } of this.#asked.values()) if (state instanceof RemoteBlob) events.found(state)
  }

  unsubscribe(events: SwarmEvents): void {
    this.#subscribers.delete(events)
  }

  get asksMany(): boolean {
    return this.#asked.size >= MAX_ASKED
  }

  /** Whether the peer was asked, and tells its news if it has any. */
  isAsked(peer: string): boolean {
    return this.#asked.has(peer)
  }

  /** Whether the peer need not be asked now. */
  hasAsked(peer: string): boolean {
    return this.#asked.has(peer) || this.#isFull(peer)
  }

  /**
   * Asks a connected peer, if it was not asked and there is a place for it.
   * @returns whether it stands asked now
   */
  ask(peer: string, candidate: Candidate = 'named'): boolean {
    const known = this.#asked.get(peer)
    const wantsToo = candidate === 'asker'
    if (known !== undefined) {
      known.wantsToo ||= wantsToo
      return true
    }
    const { self, isBanned } = this.#components
    if (wantsToo) this.#full.delete(peer)
    if (peer === self || isBanned(peer) || this.#isFull(peer) || !this.#makeRoom(candidate)) return false
    if (!this.#send(peer, 'want')) return false
    this.#asked.set(peer, {
      state: 'asking',
      candidate,
      wantsToo,
      at: this.#components.clock(),
      isPoor: false,
      heard: new Set(),
      untold: [],
    })
    return true
  }

  /** Whether the peer has this statement for sure: it sent it. */
  hasHeard(peer: string, statement: ChunkStatement): boolean {
    return this.#asked.get(peer)?.heard.has(statementKey(statement)) ?? false
  }

  /** Whether the peer said that it has the chunk. */
  hasChunk(peer: string, index: number): boolean {
    const state = this.#asked.get(peer)?.state
    return state instanceof RemoteBlob && state.has(index)
  }

  /** @throws ShoalError PEER_MISBEHAVED */
  message(peer: string, message: BlobMessage): void | Promise<void> {
    const asked = this.#asked.get(peer)
    if (asked === undefined) return undefined
    switch (message.type) {
      case 'have':
      case 'more': {
        const statements = message.statements.map((encoded) => this.#components.known(encoded))
        if (statements.every((statement) => statement !== undefined)) {
          this.#apply(peer, asked, message, statements)
          return undefined
        }
        return this.#verifyAndApply(peer, asked, message)
      }
      case 'none':
        this.#end(asked, 'none')
        this.#components.answered()
        return undefined
      case 'full':
        this.#turnedAway(peer)
        return undefined
      case 'others':
        this.#components.suggested(message.peers)
        return undefined
      case 'want':
      case 'unwant':
        return undefined
    }
  }

  /** The peer is a member: what it signed counts. */
  met(peer: string): void {
    for (const [key, statement] of this.#ofStrangers) {
      if (statement.signer !== peer) continue
      this.#ofStrangers.delete(key)
      this.#tell(key, statement)
    }
  }

  /** The peer is gone. */
  drop(peer: string): void {
    this.#full.delete(peer)
    this.#remove(peer)
  }

  #remove(peer: string): void {
    const asked = this.#asked.get(peer)
    if (asked === undefined) return
    this.#asked.delete(peer)
    this.#end(asked, 'none')
    this.#components.answered()
  }

  /** What the peer was asked or has told may have been lost. */
  resync(peer: string): void {
    if (this.#asked.has(peer) && !this.#send(peer, 'want')) this.drop(peer)
  }

  banned({ peer }: Ban): void {
    for (const [key, statement] of this.#stated) if (statement.signer === peer) this.#stated.delete(key)
    this.#said.delete(peer)
    this.#emit((events) => events.banned(peer))
    this.drop(peer)
  }

  /** Nobody wants it any more. */
  close(): void {
    for (const [peer, asked] of this.#asked) {
      this.#send(peer, 'unwant')
      if (asked.state instanceof RemoteBlob) asked.state.end()
    }
    this.#asked.clear()
  }

  async #verifyAndApply(peer: string, asked: Asked, message: HaveMessage | MoreMessage): Promise<void> {
    const statements: ChunkStatement[] = []
    for (const encoded of message.statements) statements.push(await this.#components.verify(peer, encoded))
    if (this.#asked.get(peer) === asked) this.#apply(peer, asked, message, statements)
  }

  #apply(peer: string, asked: Asked, message: HaveMessage | MoreMessage, statements: readonly ChunkStatement[]): void {
    for (const statement of statements) this.#state(asked, statement)
    if (message.type === 'have') this.#have(peer, asked, message)
    else this.#more(asked, message)
  }

  #state(asked: Asked, statement: ChunkStatement): void {
    if (statement.digest !== this.key.digest) throw new ShoalError('PEER_MISBEHAVED', 'a statement about another blob')
    const key = statementKey(statement)
    if (asked.heard.size < MAX_STATEMENTS) asked.heard.add(key)
    const { self, isBanned, isFalse, isKnown, suggested } = this.#components
    const { signer } = statement
    if (this.#stated.has(key) || signer === self) return
    const counts = !isBanned(signer) && !isFalse(statement)
    if (counts && isKnown(signer)) {
      this.#tell(key, statement)
      return
    }
    if (asked.untold.length < MAX_UNTOLD) asked.untold.push(statement)
    if (!counts || this.#ofStrangers.size >= MAX_OF_STRANGERS) return
    this.#ofStrangers.set(key, statement)
    suggested([signer])
  }

  #tell(key: string, statement: ChunkStatement): void {
    if (this.#stated.size >= MAX_STATEMENTS || !this.#isNews(statement)) return
    this.#stated.set(key, statement)
    this.#emit((events) => events.stated(statement))
  }

  #isNews({ signer, kind, hashes }: ChunkStatement): boolean {
    const said = this.#said.get(signer) ?? { hasMap: false, indexes: new Set() }
    this.#said.set(signer, said)
    if (said.hasMap) return false
    if (kind === 'map') {
      said.hasMap = true
      said.indexes.clear()
      return true
    }
    const before = said.indexes.size
    for (const index of hashes.keys()) said.indexes.add(index)
    return said.indexes.size > before
  }

  #have(peer: string, asked: Asked, { size, bits }: HaveMessage): void {
    if (asked.state instanceof RemoteBlob && asked.state.size !== size) this.#end(asked, 'none')
    const isKnown = asked.state instanceof RemoteBlob
    const isOneOfFew = this.providers < PREPARED
    const remote =
      asked.state instanceof RemoteBlob
        ? asked.state
        : new RemoteBlob(this.#source(peer, asked), { peer, key: this.key, size })
    const grew = bits === undefined ? remote.chunks.fill() : remote.chunks.addAll(bits)
    if (remote.chunks.size === 0) asked.state = 'none'
    else asked.state = remote
    if (grew && !isKnown && isOneOfFew) this.#components.prepare(peer)
    if (grew) this.#emit((events) => (isKnown ? events.gained(remote) : events.found(remote)))
    this.#components.answered()
  }

  #more({ state }: Asked, { indexes }: MoreMessage): void {
    // before any `have`, only its statements count
    if (!(state instanceof RemoteBlob)) return
    let grew = false
    for (const index of indexes) if (state.chunks.add(index)) grew = true
    if (grew) this.#emit((events) => events.gained(state))
  }

  #end(asked: Asked, state: 'none'): void {
    const before = asked.state
    asked.state = state
    if (!(before instanceof RemoteBlob)) return
    before.end()
    this.#emit((events) => events.left(before))
  }

  #source(peer: string, asked: Asked): RemoteBlobComponents {
    const { lane, report } = this.#components.source(peer)
    return {
      lane,
      report: (conduct) => {
        asked.isPoor = conduct.type !== 'delivered'
        const { misled } = this.#components
        const isMisled = conduct.type === 'wrong-bytes' && asked.untold.some(({ hashes }) => hashes.has(conduct.index))
        report(isMisled ? { type: 'failed' } : conduct)
        if (isMisled) misled(peer)
      },
    }
  }

  /** The peer tells others, whom it names. */
  #turnedAway(peer: string): void {
    this.#full.delete(peer)
    this.#full.set(peer, this.#components.clock())
    const [first] = this.#full.keys()
    if (first !== undefined && this.#full.size > MAX_FULL) this.#full.delete(first)
    this.#remove(peer)
  }

  #isFull(peer: string): boolean {
    const since = this.#full.get(peer)
    return since !== undefined && this.#components.clock() - since < FULL_MS
  }

  /** Who has nothing gives way, and wants nothing; else who does not answer, else who does not give what it says it has. */
  #makeRoom(candidate: Candidate): boolean {
    let askers = 0
    for (const asked of this.#asked.values()) if (asked.candidate === 'asker') askers += 1
    if (hasPlaceFor(candidate, { askers, others: this.#asked.size - askers })) return true
    const now = this.#components.clock()
    const isProvider = candidate === 'provider'
    if (candidate === 'asker' || (!isProvider && now - this.#changedAt < CHANGE_MS)) return false
    const late = now - ANSWER_MS
    const poor = isProvider ? Infinity : now - NOTHING_MS
    const asked = [...this.#asked]
    const [peer, victim] =
      asked.find(([, { state, at, wantsToo }]) => state === 'none' && at < poor && !wantsToo) ??
      asked.find(([, { state, at }]) => state === 'asking' && at < late) ??
      asked.find(([, { isPoor }]) => isPoor) ??
      asked.find(([, { state }]) => isProvider && state === 'none') ??
      []
    if (peer === undefined || victim === undefined) return false
    this.#changedAt = now
    this.#asked.delete(peer)
    this.#send(peer, 'unwant')
    this.#end(victim, 'none')
    return true
  }

  #send(peer: string, type: 'want' | 'unwant'): boolean {
    return this.#components.send(peer, { type, digest: this.key.digest, registry: this.key.registry })
  }

  #count(matches: (state: Asked['state'], isPoor: boolean) => boolean): number {
    let count = 0
    for (const { state, isPoor } of this.#asked.values()) if (matches(state, isPoor)) count += 1
    return count
  }

  #emit(tell: (events: SwarmEvents) => void): void {
    for (const events of this.#subscribers) tell(events)
  }
}
