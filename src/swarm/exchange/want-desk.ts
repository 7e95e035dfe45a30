/**
 * Answers peers that want to know what this agent has of a blob, and keeps telling them until they no longer want to. Owns: who wants what and what each was told. What a
 * peer may have is `SharedContent`'s decision at the moment it is told. Called by `SwarmDirectory`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { planChunks } from '../../blob/chunk-plan.ts'
import type { ChunkHash, ChunkStatement, SharedBlob, SharedContent } from '../../blob/ports.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Logger } from '../../util/logger.ts'
import { raceAbort } from '../../util/race-abort.ts'
import { type BlobKey, MAX_OTHERS, MAX_TOLD, type WireMessage } from '../protocol/wire-messages.ts'
import type { OwnStatements } from '../trust/own-statements.ts'
import { statementKey } from '../trust/statement-desk.ts'
import { ChunkNews, type News } from './chunk-news.ts'
import { fullMessage, haveMessages, moreMessages, noneMessage } from './want-answers.ts'
import { type Want, WantTable } from './want-table.ts'

export interface WantDeskComponents {
  /** This agent's own id. */
  readonly self: string
  readonly content: Pick<SharedContent, 'find'>
  readonly statements: Pick<OwnStatements, 'knownMap' | 'knownClaims' | 'map' | 'claims'>
  readonly send: (peer: string, message: WireMessage) => boolean
  /** Whether the peer itself sent this statement here. */
  readonly hasHeard: (peer: string, key: BlobKey, statement: ChunkStatement) => boolean
  /** Whether the peer said that it has the chunk. */
  readonly hasChunk: (peer: string, key: BlobKey, index: number) => boolean
  /** Whether as many are asked about it as may be: there are others. */
  readonly asksMany: (key: BlobKey) => boolean
  /** Who said that it has the blob. */
  readonly holders: (digest: Digest) => readonly string[]
  readonly log: Logger
}

/** Times in milliseconds. */
export interface WantDeskLimits {
  readonly maxWantsPerPeer: number
  /** Peers that are told the news of one blob. Whoever asks when there are so many is turned away, and named others. */
  readonly maxTold: number
  /** News of one blob are told in steps of so much for each peer that wants it, so that many peers cost no more messages than few, */
  readonly newsMsPerPeer: number
  /** and from the one to the other. */
  readonly minNewsMs: number
  readonly maxNewsMs: number
  /** A step in which fewer chunks came than this lasts longer, */
  readonly enoughNews: number
  /** but no longer than this. */
  readonly lastNewsMs: number
  /** The first after a pause so soon. */
  readonly firstNewsMs: number
  /** An answer waits so long for hashes that have to be read or computed. */
  readonly mapMs: number
}

export const WANT_LIMITS: WantDeskLimits = {
  maxWantsPerPeer: 512,
  maxTold: MAX_TOLD,
  newsMsPerPeer: 16,
  minNewsMs: 20,
  maxNewsMs: 300,
  enoughNews: 6,
  lastNewsMs: 1_000,
  firstNewsMs: 1,
  mapMs: 50,
}

const MAX_HOLDERS = 8
/** Where no more want a blob, and this agent could ask them all, they all hear each other: what one signed is not passed on to those that it tells itself. */
const MET_BY_ALL = 16
const NO_CLAIMS: ReadonlyMap<number, ChunkHash> = new Map()

export class WantDesk {
  readonly #components: WantDeskComponents
  readonly #limits: WantDeskLimits
  readonly #wants: WantTable
  readonly #news: ChunkNews
  readonly #stopping = new AbortController()

  constructor(components: WantDeskComponents, limits: WantDeskLimits = WANT_LIMITS) {
    this.#components = components
    this.#limits = limits
    this.#wants = new WantTable({ maxPerPeer: limits.maxWantsPerPeer })
    this.#news = new ChunkNews(
      { tell: (digest, news) => this.#tell(digest, news) },
      {
        stepMs: (digest) => this.#newsMs(digest),
        lastMs: limits.lastNewsMs,
        enough: limits.enoughNews,
        firstMs: limits.firstNewsMs,
      },
    )
  }

  get size(): number {
    return this.#wants.size
  }

  stop(): void {
    this.#stopping.abort()
    this.#news.stop()
    this.#wants.clear()
  }

  /** A peer asks, for the first time or again. @returns whether it will be told news */
  want(peer: string, key: BlobKey): boolean {
    if (!this.#hasPlace(peer, key)) {
      this.#turnAway(peer, key)
      return false
    }
    const want = this.#wants.add(peer, key)
    if (want === undefined) {
      this.#components.send(peer, noneMessage(key))
      return false
    }
    // first, so that a "none" does not end the peer's search
    this.#nameOthers(want)
    this.#answer(want)
    return true
  }

  unwant(peer: string, key: BlobKey): void {
    this.#wants.remove(this.#wants.get(peer, key))
  }

  /** The peer is gone. */
  drop(peer: string): void {
    this.#wants.drop(peer)
  }

  /** The peer may have missed what it was told. */
  lost(peer: string): void {
    for (const want of this.#wants.ofPeer(peer)) forget(want)
  }

  /** It can be told again. */
  resync(peer: string): void {
    for (const want of this.#wants.ofPeer(peer)) if (want.believes === 'nothing-yet') this.#answer(want)
  }

  /** Chunks were verified here, some of them claimed by this agent. Who asks later is told of what is here then. */
  gained(digest: Digest, indexes: Iterable<number>, claims = NO_CLAIMS): void {
    if (this.#wants.of(digest).length > 0) this.#news.add(digest, indexes, claims)
  }

  /** The blob is complete here, or no longer here. */
  changed(digest: Digest): void {
    this.#news.forget(digest)
    for (const want of this.#wants.of(digest)) this.#answer(want)
  }

  /** Who is told that all is here needs no news. */
  #hasPlace(peer: string, key: BlobKey): boolean {
    if (this.#wants.get(peer, key) !== undefined || this.#find(key)?.isComplete === true) return true
    // nobody takes the places of others by asking in many names
    const same = this.#wants.of(key.digest).filter((want) => want.key.registry === key.registry)
    return same.filter(({ believes }) => believes !== 'all').length < this.#limits.maxTold
  }

  /** Others are named to it, and it to others: each of many finds some that way, and not all the same ones. */
  #turnAway(peer: string, key: BlobKey): void {
    this.#nameOthers({ peer, key })
    this.#wants.turnAway(peer, key)
    this.#components.send(peer, fullMessage(key))
  }

  /** Tells the state as a whole; at once when everything it takes is at hand. */
  #answer(want: Want): void {
    try {
      const view = this.#find(want.key)
      const statements = view && this.#statementsAtHand(view)
      if (view === undefined) this.#sayNone(want)
      else if (statements === undefined) void this.#answerLater(want, view)
      else this.#sayHave(want, view, statements)
    } catch (error) {
      this.#failed(want, error)
    }
  }

  async #answerLater(want: Want, view: SharedBlob): Promise<void> {
    const { signal } = this.#stopping
    const answered = new AbortController()
    try {
      const gathering = this.#gatherStatements(view)
      const patience = delay(this.#limits.mapMs, undefined, { signal: answered.signal, ref: false }).catch(
        () => undefined,
      )
      const first = await raceAbort(Promise.race([gathering, patience]), signal)
      answered.abort()
      // without statements of this agent, the chunks can be used with what others say of them
      if (this.#wants.has(want)) this.#answerWith(want, first ?? [])
      if (first !== undefined) return
      const late = await raceAbort(gathering, signal)
      if (this.#wants.has(want)) this.#sayMore(want, [], late)
    } catch (error) {
      if (!signal.aborted) this.#failed(want, error)
    } finally {
      answered.abort()
    }
  }

  #failed(want: Want, error: unknown): void {
    this.#components.log.warn({ peer: want.peer, err: error }, 'a peer could not be answered')
    if (this.#wants.has(want)) this.#sayNone(want)
  }

  #answerWith(want: Want, statements: readonly ChunkStatement[]): void {
    const view = this.#find(want.key)
    if (view === undefined) this.#sayNone(want)
    else this.#sayHave(want, view, statements)
  }

  /** Blobs of one chunk need no statements: their digest is the hash. */
  #statementsAtHand(view: SharedBlob): readonly ChunkStatement[] | undefined {
    if (planChunks(view.size).count === 1) return []
    const { statements } = this.#components
    if (view.isComplete) {
      const map = statements.knownMap(view.digest)
      return map && [map]
    }
    const claims = statements.knownClaims(view.digest, view.claims)
    return claims && [...claims, ...view.statements]
  }

  async #gatherStatements(view: SharedBlob, claims = view.claims): Promise<readonly ChunkStatement[]> {
    if (planChunks(view.size).count === 1) return []
    const { statements } = this.#components
    if (!view.isComplete) return [...(await statements.claims(view.digest, view.size, claims)), ...view.statements]
    const map = await statements.map(view.digest, view.size)
    return map === undefined ? [] : [map]
  }

  async #tell(digest: Digest, { indexes, claims }: News): Promise<void> {
    for (const registry of new Set(this.#wants.of(digest).map(({ key }) => key.registry))) {
      try {
        await this.#tellFor({ digest, registry }, indexes, claims)
      } catch (error) {
        this.#components.log.debug({ digest, err: error }, 'peers could not be told about chunks')
      }
    }
  }

  async #tellFor(key: BlobKey, indexes: ReadonlySet<number>, claims: ReadonlyMap<number, ChunkHash>): Promise<void> {
    const view = this.#find(key)
    if (view === undefined) return
    const here = [...indexes].filter((index) => view.has(index))
    const all = claims.size === 0 ? view.claims : new Map([...view.claims, ...claims])
    const statements = here.length === 0 ? [] : await this.#gatherStatements(view, all)
    const wants = this.#wants.of(key.digest)
    const passesOn = wants.length > MET_BY_ALL || this.#components.asksMany(key)
    const about = statements.filter(({ hashes, signer }) => {
      return (passesOn || signer === this.#components.self) && here.some((index) => hashes.has(index))
    })
    for (const want of wants) {
      if (want.key.registry !== key.registry || want.believes === 'all') continue
      const untold = here.filter((index) => !this.#components.hasChunk(want.peer, want.key, index))
      if (want.believes !== 'some') this.#answer(want)
      else this.#sayMore(want, untold, about)
    }
  }

  #newsMs(digest: Digest): number {
    const { newsMsPerPeer, minNewsMs, maxNewsMs } = this.#limits
    return Math.max(minNewsMs, Math.min(maxNewsMs, newsMsPerPeer * this.#wants.of(digest).length))
  }

  #sayNone(want: Want): void {
    if (want.believes === 'none') return
    want.told.clear()
    want.believes = 'none'
    this.#say(want, [noneMessage(want.key)])
  }

  #sayHave(want: Want, view: SharedBlob, statements: readonly ChunkStatement[]): void {
    want.believes = view.isComplete ? 'all' : 'some'
    this.#say(want, haveMessages(want.key, view, this.#untold(want, statements)))
  }

  #sayMore(want: Want, indexes: readonly number[], statements: readonly ChunkStatement[]): void {
    const untold = this.#untold(want, statements)
    if (indexes.length + untold.length > 0) this.#say(want, moreMessages(want.key, indexes, untold))
  }

  #untold(want: Want, statements: readonly ChunkStatement[]): Uint8Array[] {
    const untold: Uint8Array[] = []
    for (const statement of statements) {
      const key = statementKey(statement)
      const isKnown = statement.signer === want.peer || want.told.has(key)
      if (isKnown || this.#components.hasHeard(want.peer, want.key, statement)) continue
      want.told.add(key)
      untold.push(statement.encoded)
    }
    return untold
  }

  /** A few of those that have or want the same, so that they find each other before the directory knows them. */
  #nameOthers({ peer, key }: Pick<Want, 'peer' | 'key'>): void {
    const holders = rotated(this.#components.holders(key.digest))
    const same = this.#wants.whoWant(key)
    const others = new Set([...holders.slice(0, MAX_HOLDERS), ...rotated(same)])
    others.delete(peer)
    if (others.size === 0) return
    const peers = [...others].slice(0, MAX_OTHERS)
    this.#components.send(peer, { type: 'others', digest: key.digest, registry: key.registry, peers })
  }

  #find({ digest, registry }: BlobKey): SharedBlob | undefined {
    return this.#components.content.find(digest, registry)
  }

  #say(want: Want, messages: readonly WireMessage[]): void {
    const isSent = messages.every((message) => this.#components.send(want.peer, message))
    // it is told when it can be reached again
    if (!isSent) forget(want)
  }
}

/** From a random place on, so that not everybody is sent to the same ones. */
function rotated<T>(list: readonly T[]): readonly T[] {
  const from = Math.floor(Math.random() * list.length)
  return [...list.slice(from), ...list.slice(0, from)]
}

function forget(want: Want): void {
  want.believes = 'nothing-yet'
  want.told.clear()
}
