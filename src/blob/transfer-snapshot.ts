/** What `chunk-scheduler` decides on, made of what a transfer knows at one moment. */
import { type ChunkPlan } from './chunk-plan.ts'
import type { LeasesView, Snapshot, WantedChunk } from './chunk-scheduler.ts'
import { ChunkSet } from './chunk-set.ts'
import type { ChunkStates } from './chunk-states.ts'
import type { ChunkTrust } from './chunk-trust.ts'
import type { BringerBook } from './chunk-writer.ts'
import type { Run } from './run.ts'
import type { TransferSource } from './transfer-source.ts'

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
  /** Those that may be asked now. */
  readonly sources: readonly TransferSource[]
  /** Peers that may be asked again soon. */
  readonly resting: readonly TransferSource[]
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
  const { plan, now, runs, sources, trust, leases } = parts
  const hasOrigin = sources.some(({ source }) => source.kind === 'origin')
  const views = runs.map((run) => run.view(plan, now))
  const landing = new ChunkSet(plan.count)
  for (const [at, view] of views.entries()) landing.addRange(runs[at]?.next ?? view.next, view.next)
  const missing = parts.chunks.absent()
  missing.deleteAll(landing)
  const asked = new Map<TransferSource, number>()
  for (const { source, next, end } of runs) asked.set(source, (asked.get(source) ?? 0) + end - next)
  const unjudged = (source: TransferSource): number => (asked.get(source) ?? 0) + parts.bringers.count(source)
  const risks = new Risks(parts)
  return {
    plan,
    missing,
    stateOf: (index) => (landing.has(index) ? 'there' : trust.stateOf(index)),
    runs: views,
    sources: sources.map((source) => {
      const mayBring = (index: number): boolean => trust.mayComeFrom(source.key, index)
      return source.view({ now, unjudged: unjudged(source), mayBring })
    }),
    peersBytesPerSecond: parts.peersBytesPerSecond,
    sparesLeft: SPARES.least + SPARES.share * parts.chunks.verifiedCount - parts.spares,
    wanted: parts.wanted,
    mayFetch: (index) => (hasOrigin && isOriginsAlone(index, parts) ? 'no' : trust.mayFetch(index, risks)),
    ageMs: now - parts.beganAt,
    get riskLeft() {
      return hasOrigin && now - parts.ownAt <= CONFIRM_MS ? MAX_RISKS - risks.taken : Number.POSITIVE_INFINITY
    },
    isWithResting: (index) => parts.resting.some((source) => source.has(index)),
    isReleased: (index) => trust.isReleasedFromPeers(index),
    isUndisputed: (index) => trust.isUndisputed(index),
    offset: parts.offset,
    leases,
  }
}

/** What is here, or on its way, on the word of signers that nothing has confirmed. Counted once, and only if it is asked for. */
class Risks {
  readonly #parts: SnapshotParts
  readonly #fairShare: number
  #counted: ReturnType<ChunkTrust['risks']> | undefined

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
    const { risky, bySigner } = this.#count()
    let taken = risky
    for (const count of bySigner.values()) taken += Math.max(0, count - this.#fairShare)
    return taken
  }

  #count(): ReturnType<ChunkTrust['risks']> {
    this.#counted ??= this.#parts.trust.risks(this.#onTheirWay())
    return this.#counted
  }

  #onTheirWay(): ChunkSet {
    const covered = new ChunkSet(this.#parts.plan.count)
    for (const run of this.#parts.runs) if (!run.isTrusted) covered.addRange(run.next, run.end)
    return covered
  }
}

/** Where readers may have seen the first bytes as the origin sent them, one agent's false word must not make them wrong. */
function isOriginsAlone(index: number, { chunks, trust }: SnapshotParts): boolean {
  return trust.isCautious || (chunks.reached(index) !== undefined && !trust.isReleasedFromPeers(index))
}
