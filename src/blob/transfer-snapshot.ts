/** What `chunk-scheduler` decides on, made of what a transfer knows at one moment. Good for that moment only: what costs much is worked out when it is asked for. */
import { type ChunkPlan } from './chunk-plan.ts'
import type { LeasesView, RunView, Snapshot, SourceView, WantedChunk } from './chunk-scheduler.ts'
import { ChunkSet } from './chunk-set.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ChunkTrust, Risks } from './chunk-trust.ts'
import type { BringerBook } from './chunk-writer.ts'
import type { Run } from './run.ts'
import type { Moment } from './source-at.ts'
import type { TransferSource } from './transfer-source.ts'
import type { TransferSources } from './transfer-sources.ts'

/** Signers that nothing has confirmed are believed with so many chunks while the origin can be asked. */
const MAX_RISKS = 2
/**
 * Where agents share the origin, each fetches about as much as this one: a member is believed with so many times the chunks that this
 * agent got from there, none of which contradicted it.
 */
const FAIR_SHARES = 2
/** Where everything comes slowly, a second request for it makes it slower: for so many chunks at least, and for this share of those that came. */
const SPARES = { least: 3, share: 0.05 } as const
/** An origin that brought nothing for so long confirms nobody. */
const CONFIRM_MS = 1_500

export interface SnapshotParts {
  readonly plan: ChunkPlan
  readonly now: number
  readonly beganAt: number
  /** When the origin last said something about a chunk. */
  readonly ownAt: number
  readonly offset: number
  readonly sources: TransferSources
  /** Those that are still fetching. */
  readonly runs: readonly Run[]
  readonly chunks: ChunkStates
  readonly trust: ChunkTrust
  readonly bringers: BringerBook
  readonly peersBytesPerSecond: number
  /** Chunks that were asked for a second time so far. */
  readonly spares: number
  readonly wanted: readonly WantedChunk[]
  readonly leases: LeasesView | undefined
}

export function snapshotOf(parts: SnapshotParts): Snapshot {
  return new TransferSnapshot(parts)
}

class TransferSnapshot implements Snapshot {
  readonly plan: ChunkPlan
  readonly missing: ChunkSet
  readonly runs: readonly RunView[]
  readonly sources: readonly SourceView[]
  readonly sparesLeft: number
  readonly peersBytesPerSecond: number
  readonly wanted: readonly WantedChunk[]
  readonly ageMs: number
  readonly offset: number
  readonly leases: LeasesView | undefined
  readonly #parts: SnapshotParts
  readonly #usable: readonly TransferSource[]
  readonly #hasOrigin: boolean
  /** Chunks that have arrived, and are being written. */
  readonly #landing: ChunkSet | undefined
  readonly #risks: RisksTaken
  #atPeers: ChunkSet | undefined
  #resting: ChunkSet | undefined

  constructor(parts: SnapshotParts) {
    const { plan, now, runs, chunks } = parts
    this.#parts = parts
    this.#usable = parts.sources.usable(now)
    this.#hasOrigin = this.#usable.some(({ peer }) => peer === undefined)
    this.#risks = new RisksTaken(parts)
    this.plan = plan
    this.runs = runs.map((run) => run.view(plan, now))
    this.#landing = landingOf(plan, runs, this.runs)
    this.missing = missingOf(chunks, this.#landing)
    const moment = new SourcesMoment(parts)
    this.sources = this.#usable.map((source) => source.view(moment))
    this.sparesLeft = SPARES.least + SPARES.share * chunks.verifiedCount - parts.spares
    this.peersBytesPerSecond = parts.peersBytesPerSecond
    this.wanted = parts.wanted
    this.ageMs = now - parts.beganAt
    this.offset = parts.offset
    this.leases = parts.leases
  }

  get atPeers(): ChunkSet {
    this.#atPeers ??= this.#findAtPeers()
    return this.#atPeers
  }

  get riskLeft(): number {
    const { now, ownAt } = this.#parts
    return this.#hasOrigin && now - ownAt <= CONFIRM_MS ? MAX_RISKS - this.#risks.taken : Number.POSITIVE_INFINITY
  }

  stateOf(index: number): 'missing' | 'held' | 'there' {
    return this.#landing?.has(index) === true ? 'there' : this.#parts.trust.stateOf(index)
  }

  isWithResting(index: number): boolean {
    this.#resting ??= this.#chunksOf(this.#parts.sources.resting(this.#parts.now))
    return this.#resting.has(index)
  }

  mayFetch(index: number): 'free' | 'risky' | 'no' {
    if (this.#hasOrigin && isOriginsAlone(index, this.#parts)) return 'no'
    return this.#parts.trust.mayFetch(index, this.#risks)
  }

  isReleased(index: number): boolean {
    return this.#parts.trust.isReleasedFromPeers(index)
  }

  isUndisputed(index: number): boolean {
    return this.#parts.trust.isUndisputed(index)
  }

  #findAtPeers(): ChunkSet {
    const chunks = this.#chunksOf(this.#usable)
    for (const index of this.#parts.trust.expected.keys()) {
      if (!this.sources.some((source) => source.kind === 'peer' && source.has(index))) chunks.delete(index)
    }
    return chunks
  }

  #chunksOf(sources: readonly TransferSource[]): ChunkSet {
    const chunks = new ChunkSet(this.plan.count)
    for (const source of sources) if (source.peer !== undefined) source.addTo(chunks)
    return chunks
  }
}

/** What is here, or on its way, on the word of signers that nothing has confirmed. Counted once, and only if it is asked for. */
class RisksTaken {
  readonly #parts: SnapshotParts
  readonly #fairShare: number
  #counted: Risks | undefined
  #taken: number | undefined

  constructor(parts: SnapshotParts) {
    this.#parts = parts
    this.#fairShare = MAX_RISKS + FAIR_SHARES * parts.trust.ownCount
  }

  /** As `SignerShare.leaves`. */
  leaves(signer: string): boolean {
    return this.#parts.leases !== undefined && (this.#count().bySigner.get(signer) ?? 0) < this.#fairShare
  }

  /** Of `MAX_RISKS`. */
  get taken(): number {
    this.#taken ??= this.#take()
    return this.#taken
  }

  #take(): number {
    const { risky, bySigner } = this.#count()
    let taken = risky
    for (const count of bySigner.values()) taken += Math.max(0, count - this.#fairShare)
    return taken
  }

  #count(): Risks {
    this.#counted ??= this.#parts.trust.risks(this.#onTheirWay())
    return this.#counted
  }

  #onTheirWay(): ChunkSet {
    const covered = new ChunkSet(this.#parts.plan.count)
    for (const run of this.#parts.runs) if (!run.isTrusted) covered.addRange(run.next, run.end)
    return covered
  }
}

function missingOf({ absent }: ChunkStates, landing: ChunkSet | undefined): ChunkSet {
  if (landing === undefined) return absent
  const missing = absent.copy()
  missing.deleteAll(landing)
  return missing
}

function landingOf(plan: ChunkPlan, runs: readonly Run[], views: readonly RunView[]): ChunkSet | undefined {
  let landing: ChunkSet | undefined
  for (const [at, { next }] of views.entries()) {
    const written = runs[at]?.next ?? next
    if (written >= next) continue
    landing ??= new ChunkSet(plan.count)
    landing.addRange(written, next)
  }
  return landing
}

/** What is asked of each source is counted once, and only if it is asked for. */
class SourcesMoment implements Moment {
  readonly now: number
  readonly trust: ChunkTrust
  readonly #parts: SnapshotParts
  #asked: Map<TransferSource, number> | undefined

  constructor(parts: SnapshotParts) {
    this.now = parts.now
    this.trust = parts.trust
    this.#parts = parts
  }

  unjudged(source: TransferSource): number {
    this.#asked ??= askedBySource(this.#parts.runs)
    return (this.#asked.get(source) ?? 0) + this.#parts.bringers.count(source)
  }
}

function askedBySource(runs: readonly Run[]): Map<TransferSource, number> {
  const asked = new Map<TransferSource, number>()
  for (const { source, next, end } of runs) asked.set(source, (asked.get(source) ?? 0) + end - next)
  return asked
}

/** Where readers may have seen the first bytes as the origin sent them, one agent's false word must not make them wrong. */
function isOriginsAlone(index: number, { chunks, trust }: SnapshotParts): boolean {
  return trust.isCautious || (chunks.reached(index) !== undefined && !trust.isReleasedFromPeers(index))
}
