/** What `chunk-scheduler` decides on, made of what a transfer knows at one moment. */
import { type ChunkPlan } from './chunk-plan.ts'
import type { LeasesView, Snapshot, WantedChunk } from './chunk-scheduler.ts'
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
  /** Those that are still fetching. */
  readonly runs: readonly Run[]
  readonly chunks: ChunkStates
  readonly trust: ChunkTrust
  readonly bringers: BringerBook
  readonly peersBytesPerSecond: number
  readonly wanted: readonly WantedChunk[]
  readonly leases: LeasesView | undefined
}

export function snapshotOf(parts: SnapshotParts): Snapshot {
  const { plan, now, runs, sources, trust, leases } = parts
  const hasOrigin = sources.some(({ source }) => source.kind === 'origin')
  const views = runs.map((run) => run.view(plan, now))
  const landing = new Set<number>()
  for (const [at, view] of views.entries()) {
    for (let index = runs[at]?.next ?? view.next; index < view.next; index++) landing.add(index)
  }
  const risks = new Risks(parts)
  return {
    plan,
    stateOf: (index) => (landing.has(index) ? 'there' : trust.stateOf(index)),
    runs: views,
    sources: sources.map((source) =>
      source.view(unjudged(source, parts), (index) => trust.mayComeFrom(source.key, index)),
    ),
    peersBytesPerSecond: parts.peersBytesPerSecond,
    wanted: parts.wanted,
    mayFetch: (index) => (hasOrigin && isOriginsAlone(index, parts) ? 'no' : trust.mayFetch(index, risks)),
    ageMs: now - parts.beganAt,
    get riskLeft() {
      return hasOrigin && now - parts.ownAt <= CONFIRM_MS ? MAX_RISKS - risks.taken : Number.POSITIVE_INFINITY
    },
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
    this.#counted ??= this.#parts.trust.risks(this.#isOnItsWay())
    return this.#counted
  }

  #isOnItsWay(): (index: number) => boolean {
    const covered = new Set<number>()
    for (const run of this.#parts.runs) {
      if (!run.isTrusted) for (let index = run.next; index < run.end; index++) covered.add(index)
    }
    return (index) => covered.has(index)
  }
}

/** Where readers may have seen the first bytes as the origin sent them, one agent's false word must not make them wrong. */
function isOriginsAlone(index: number, { chunks, trust }: SnapshotParts): boolean {
  return trust.isCautious || (chunks.reached(index) !== undefined && !trust.isReleasedFromPeers(index))
}

function unjudged(source: TransferSource, { runs, bringers }: SnapshotParts): number {
  const asked = runs.reduce((sum, run) => sum + (run.source === source ? run.end - run.next : 0), 0)
  return asked + bringers.count(source)
}
