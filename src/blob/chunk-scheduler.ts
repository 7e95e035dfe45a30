/**
 * Which stretch of a blob is fetched next, and from whom. Pure: a snapshot in, steps out; `TransferRuns` carries them out.
 *
 * A run is one request to a source for neighbouring chunks. Alone with the origin, one run over the whole blob is the
 * fastest there is; a reader that waits far ahead of every run (a resumed pull, parallel ranges) gets one of its own. Peers
 * get short runs, a few at a time each. While there are other agents the origin is asked for what no peer has, and that under
 * a lease: so each chunk is fetched by one of them.
 */
import type { ChunkPlan } from './chunk-plan.ts'
import type { ChunkSet } from './chunk-set.ts'
import { hurryLateChunks, leaveStalledSources } from './late-policy.ts'
import { OriginPolicy } from './origin-policy.ts'
import { PeerPolicy } from './peer-policy.ts'
import type { ChunkRange } from './ports.ts'
import { RunDraft } from './run-draft.ts'

export interface RunView {
  readonly id: number
  /** Id of its source. */
  readonly source: string
  readonly kind: 'origin' | 'peer'
  /** It brings a chunk that another run brings too, or that is here already. */
  readonly isSpare: boolean
  /** The chunk that is arriving. */
  readonly next: number
  /** Bytes of it that are here. */
  readonly arrivedBytes: number
  /** The chunk after the last one of the run. */
  readonly end: number
  /** The chunk after the last one that the source was asked for. */
  readonly askedEnd: number
  readonly ageMs: number
  /** Since the last byte, or since it began. */
  readonly silentMs: number
  /** Since it began. */
  readonly bytesPerSecond: number
}

/** A source that may be asked now. */
export interface SourceView {
  readonly id: string
  readonly kind: 'origin' | 'peer'
  has(index: number): boolean
  /** It has the chunk and may be asked for it now: others may be given it just then. */
  gives(index: number): boolean
  readonly maxRuns: number
  /** Chunks that it may be asked for now, by what came of those it was asked for before. */
  readonly chunksLeft: number
  /** Undefined while it has brought nothing yet. */
  readonly bytesPerSecond: number | undefined
  /** Each request to it costs all of the blob that is before its start. */
  readonly ignoresRange: boolean
  /** By its runs that ended. */
  readonly bytesReceived: number
  /** A reader had to wait for it. */
  readonly isSlow: boolean
}

export interface WantedChunk {
  readonly chunk: number
  readonly waitedMs: number
}

/** What this agent may fetch from the origin while there are others to share it with. */
export interface LeasesView {
  /** Whether this agent, and nobody else, is to fetch the chunk. */
  has(index: number): boolean
  /** No ask waits for its answer. */
  readonly mayAsk: boolean
  /** Others wait to hear that leased chunks have arrived. */
  readonly isOwing: boolean
  /** Agents that take part, this one included, as far as it is known. */
  readonly members: number
  /** Since a chunk, or `PROGRESS_BYTES`, last came from a peer or under a lease, or the transfer began. */
  readonly quietMs: number
  /** Since a peer last said that it has more than before; for ever, where none has. */
  readonly unheardMs: number
  /** Chunks that came from the origin without leave meanwhile. */
  readonly withoutLeave: number
  /** The same, since the transfer began. */
  readonly allWithoutLeave: number
  /** Since a chunk last came from the origin under a lease; for ever, where none has. */
  readonly ownMs: number
  /** As `Lateness.ms`, of this agent. */
  readonly lateMs: number
}

export interface Snapshot {
  readonly plan: ChunkPlan
  /** Chunks that are `missing` by `stateOf`. Nobody changes it. */
  readonly missing: ChunkSet
  /** `held`: it is here, and peers say different things about it; only the origin's word would change that. */
  stateOf(index: number): 'missing' | 'held' | 'there'
  readonly runs: readonly RunView[]
  /** The first origin among them is the one that is asked. */
  readonly sources: readonly SourceView[]
  /** Chunks that some peer of `sources` has. Nobody changes it. */
  readonly atPeers: ChunkSet
  /** Whether a peer has the chunk that may not be asked now, and may be soon. */
  isWithResting(index: number): boolean
  /** So many chunks may still be asked for a second time because they come slowly. */
  readonly sparesLeft: number
  /** What all peers bring together, of late. */
  readonly peersBytesPerSecond: number
  /** Chunks that readers wait for, the longest waiting first. */
  readonly wanted: readonly WantedChunk[]
  /** Whether the chunk can be checked when a peer brings it; `risky`: on the word of signers that nothing has confirmed. */
  mayFetch(index: number): 'free' | 'risky' | 'no'
  /** Milliseconds since the transfer could begin to ask. */
  readonly ageMs: number
  /** How many risky chunks may be asked for now. */
  readonly riskLeft: number
  /** Whether readers may have the chunk as soon as a peer has brought it. */
  isReleased(index: number): boolean
  /** Whether they get it if a peer brings it, at the latest when the whole blob is here. */
  isUndisputed(index: number): boolean
  /** In [0, 1): where this agent begins with what nobody waits for, so that the agents of a fleet spread. */
  readonly offset: number
  /** Undefined: there is nobody to share the origin with. */
  readonly leases: LeasesView | undefined
}

export type Step =
  | {
      readonly type: 'start'
      readonly source: string
      readonly from: number
      readonly to: number
      /** What the source is asked for may go on behind `to`, so that the run can be made longer. */
      readonly askedEnd: number
      readonly isSpare: boolean
    }
  | { readonly type: 'resize'; readonly run: number; readonly to: number }
  /** The source is silent: it is left. */
  | { readonly type: 'give-up'; readonly run: number }
  /** As `LeaseAsk`. */
  | {
      readonly type: 'ask-lease'
      readonly gaps: readonly ChunkRange[]
      readonly fetching: readonly ChunkRange[]
      readonly most: number
    }

export function scheduleRuns(snapshot: Snapshot): Step[] {
  const draft = new RunDraft(snapshot)
  const peers = new PeerPolicy(draft)
  const origin = new OriginPolicy(draft, peers)
  leaveStalledSources(draft, peers)
  for (const { chunk } of snapshot.wanted) {
    if (!peers.serve(chunk)) origin.serve(chunk)
  }
  if (peers.areThere) origin.giveWay()
  if (!origin.mustSendRest) peers.fill()
  origin.fill()
  hurryLateChunks(draft, peers, origin)
  return draft.steps
}
