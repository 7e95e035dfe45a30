/**
 * Proofs of false statements: the statements themselves, signed. Owns: the proofs behind bans in force, which every member is shown; and proofs about blobs that are
 * not complete here, kept until they are. Nobody is believed: a proof counts when this agent's own verified content contradicts it, and it counts once. Called by `SwarmDirectory`.
 */
import { LRUCache } from 'lru-cache'
import type { ChunkHash, ChunkStatement, SharedContent } from '../../blob/ports.ts'
import { ShoalError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import { lru } from '../../util/lru.ts'
import { RateLimit } from '../../util/rate-limit.ts'
import type { Members } from '../swarm-ports.ts'
import type { PeerLedger } from './peer-ledger.ts'
import { contradicts } from './statement.ts'
import { statementKey } from './statement-desk.ts'

const MAX_PROOFS = 64
/** Together, so that a new member can be shown all of them. */
const MAX_PROOF_BYTES = 1024 * 1024
const MAX_SEEN = 2_048
const MAX_PENDING = 256
const MAX_PENDING_BYTES = 4 * 1024 * 1024
const MAX_PENDING_PER_PEER = 16
/** Checks that wait; each may have to read a whole blob. */
const MAX_WAITING = 32
const CHECK_MS = 60_000
/** Proofs that others showed and that are shown to all members in turn. */
const PASSED_ON = { perSecond: 1, burst: 32 }

interface Pending {
  readonly statement: ChunkStatement
  readonly fromPeer: string
}

export interface ProofDeskComponents {
  readonly members: Pick<Members, 'self' | 'connected'>
  readonly ledger: Pick<PeerLedger, 'ban' | 'isBanned' | 'isKnown' | 'abused' | 'spend' | 'isSpent'>
  readonly content: Pick<SharedContent, 'chunkHashes'>
  /** To a member. */
  readonly show: (peer: string, proof: Uint8Array) => void
  /** @throws ShoalError PEER_MISBEHAVED */
  readonly verify: (peer: string, encoded: Uint8Array) => Promise<ChunkStatement>
  readonly clock: Clock
  readonly log: Logger
}

export class ProofDesk {
  readonly #components: ProofDeskComponents
  readonly #proofs = new LRUCache<string, ChunkStatement>({
    max: MAX_PROOFS,
    maxSize: MAX_PROOF_BYTES,
    sizeCalculation: ({ encoded }) => encoded.length,
  })
  readonly #seen = lru<string, true>(MAX_SEEN)
  readonly #pending = new LRUCache<string, Pending>({
    max: MAX_PENDING,
    maxSize: MAX_PENDING_BYTES,
    sizeCalculation: ({ statement }) => statement.encoded.length,
  })
  readonly #stopping = new AbortController()
  readonly #passing: RateLimit
  #waiting = 0
  #checking: Promise<void> = Promise.resolve()

  constructor(components: ProofDeskComponents) {
    this.#components = components
    this.#passing = new RateLimit(components, PASSED_ON)
  }

  /** Proofs that can't be checked yet. */
  get pending(): number {
    return this.#pending.size
  }

  stop(): void {
    this.#stopping.abort(new ShoalError('STOPPING', 'the agent stops'))
  }

  /** The whole blob matched its digest and these are the hashes of its chunks. */
  settle(digest: Digest, trueHashes: readonly ChunkHash[], statements: readonly ChunkStatement[]): void {
    for (const statement of statements) {
      if (statement.digest === digest && contradicts(statement, trueHashes)) this.#convict(statement, undefined)
    }
    this.#checkPending(digest, trueHashes)
  }

  /** The blob is complete here now: what was said about it can be checked. */
  added(digest: Digest): void {
    if (!this.#pending.values().some(({ statement }) => statement.digest === digest)) return
    this.#check(async () => {
      const hashes = await this.#hashesOf(digest)
      if (hashes !== undefined) this.#checkPending(digest, hashes)
    })
  }

  /** A member shows a proof. Waits only until it is known to be signed. @throws ShoalError PEER_MISBEHAVED */
  async shown(fromPeer: string, encoded: Uint8Array): Promise<void> {
    const statement = await this.#components.verify(fromPeer, encoded)
    const key = statementKey(statement)
    if (this.#hasCounted(key) || this.#pending.has(key)) return
    if (statement.signer === this.#components.members.self) {
      this.#seen.set(key, true)
      this.#components.log.warn(
        { digest: statement.digest, kind: statement.kind, fromPeer },
        'a peer accuses this agent of a false statement',
      )
      return
    }
    this.#check(async () => {
      const hashes = await this.#hashesOf(statement.digest)
      if (hashes === undefined) this.#keep(key, { statement, fromPeer })
      else this.#judge({ statement, fromPeer }, hashes)
    })
  }

  /** Shows a new member the proofs behind the bans in force. */
  joined(peer: string): void {
    const proofs = [...this.#proofs.entries()]
    for (const [key, { signer, encoded }] of proofs) {
      if (!this.#components.ledger.isBanned(signer)) this.#proofs.delete(key)
      else if (signer !== peer) this.#components.show(peer, encoded)
    }
  }

  #checkPending(digest: Digest, hashes: readonly ChunkHash[]): void {
    const about = [...this.#pending.entries()].filter(([, { statement }]) => statement.digest === digest)
    for (const [key, pending] of about) {
      this.#pending.delete(key)
      this.#judge(pending, hashes)
    }
  }

  #judge({ statement, fromPeer }: Pending, hashes: readonly ChunkHash[]): void {
    if (contradicts(statement, hashes)) {
      this.#convict(statement, fromPeer)
      return
    }
    this.#components.ledger.abused(fromPeer, new ShoalError('PEER_MISBEHAVED', 'a proof that proves nothing'))
  }

  #convict(statement: ChunkStatement, fromPeer: string | undefined): void {
    const { members, ledger, show } = this.#components
    const { signer, kind, encoded } = statement
    const key = statementKey(statement)
    if (signer === members.self || this.#hasCounted(key)) return
    this.#seen.set(key, true)
    // those of made-up signers would push out the others
    if (ledger.isKnown(signer)) ledger.spend(key)
    ledger.ban(signer, kind === 'map' ? 'false-map' : 'false-claim', fromPeer)
    this.#proofs.set(key, statement)
    // anybody can make up signers, and proofs against them by the thousand
    const isPassedOn = fromPeer === undefined || (ledger.isKnown(signer) && this.#passing.tryTake(1))
    if (!isPassedOn) return
    for (const peer of members.connected.keys()) {
      if (peer !== signer && peer !== fromPeer) show(peer, encoded)
    }
  }

  #hasCounted(key: string): boolean {
    return this.#seen.has(key) || this.#components.ledger.isSpent(key)
  }

  #keep(key: string, pending: Pending): void {
    // the newest come first
    const same = [...this.#pending.entries()].filter(([, { fromPeer }]) => fromPeer === pending.fromPeer)
    for (const [other] of same.slice(MAX_PENDING_PER_PEER - 1)) this.#pending.delete(other)
    this.#pending.set(key, pending)
  }

  async #hashesOf(digest: Digest): Promise<readonly ChunkHash[] | undefined> {
    const signal = AbortSignal.timeout(CHECK_MS)
    try {
      return await this.#components.content.chunkHashes(digest, { signal })
    } catch (error) {
      this.#components.log.debug({ digest, err: error }, 'a proof could not be checked')
      return undefined
    }
  }

  /** One after the other, in the background. */
  #check(check: () => Promise<void>): void {
    if (this.#waiting >= MAX_WAITING || this.#stopping.signal.aborted) return
    this.#waiting += 1
    this.#checking = this.#checking.then(async () => {
      this.#waiting -= 1
      try {
        if (!this.#stopping.signal.aborted) await check()
      } catch (error) {
        this.#components.log.error({ err: error }, 'the check of a proof failed')
      }
    })
  }
}
