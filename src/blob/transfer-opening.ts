/**
 * How a transfer learns the size of its blob, and from whom: the origin and the swarm are asked at the same time, but for a
 * small head start of the swarm. Owns the requests under way meanwhile.
 *
 * One agent's word about the size is taken only when the origin has failed or takes its time: a body of the wrong length
 * can't be mended. A blob of one chunk is fetched whole and checked right here.
 */
import { createHash } from 'node:crypto'
import { isOutage, type ShoalError, toShoalError } from '../errors.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { type Lateness, patience } from '../util/lateness.ts'
import { raceAbort } from '../util/race-abort.ts'
import { type LinkedSignal, linkSignals } from '../util/signals.ts'
import { headBytes } from './blob-head.ts'
import { MIN_CHUNK_BYTES, planChunks } from './chunk-plan.ts'
import type { ChunkSource, PeerSource, SourceBody } from './ports.ts'
import type { TransferSwarm } from './transfer-swarm.ts'

/** When the origin has not answered by then, one agent's word about the size is enough. */
const LONE_SIZE_MS = 1_000
/** How long the swarm is waited for when the origin is out; for longer if this agent is late, */
const OUTAGE_MS = 3_000
/** as it is then: what peers have said may wait unread. */
const LATE_MS = 100
/** What the origin is asked for first while there are other agents, where the size is not known: the blob may be a small one. */
const FIRST_BYTES = MIN_CHUNK_BYTES
const SMALL_DEADLINE_MS = 2_000
/** Peers that are asked for a small blob at the same time, the second one if the first takes its time. */
const SMALL_STAGGER_MS = 100

export type Opened =
  | {
      readonly by: 'origin'
      readonly body: SourceBody
      readonly stop: LinkedSignal
      /** Bytes from the beginning of the blob that the body is to hold; undefined for all of it. */
      readonly askedBytes: number | undefined
    }
  | {
      readonly by: 'peers'
      readonly size: number
      /** The whole blob, checked, if it is of one chunk. */
      readonly bytes: Buffer | undefined
      readonly bringer: PeerSource | undefined
      /** What the origin says: resolves when it would give the blob. Undefined when it was not asked. */
      readonly originAnswer: Promise<void> | undefined
      readonly originError: ShoalError | undefined
    }

export interface OpeningComponents {
  readonly source: ChunkSource
  readonly swarm: TransferSwarm
  readonly lateness?: Lateness | undefined
  /** Runs work as a part of the transfer, whoever's news caused it. */
  readonly within: <T>(work: () => T) => T
}

export interface OpeningInit {
  readonly digest: Digest
  readonly headStartMs: number
  /** Bytes from the swarm were wrong of late: it is not believed while the origin answers. */
  readonly isCautious: boolean
  /** Bytes of the blob as a manifest states it that clients were given; a peer that says the same is believed. */
  readonly statedSize: number | undefined
  /** Sizes with which the blob did not have its digest. */
  readonly doubtedSizes: ReadonlySet<number>
}

export class TransferOpening {
  readonly #components: OpeningComponents
  readonly #init: OpeningInit & { readonly signal: AbortSignal }
  readonly #decided = Promise.withResolvers<Opened>()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #askedForSmall = new Set<string>()
  readonly #stop: LinkedSignal
  #isDecided = false
  #originStop: LinkedSignal | undefined
  #originAnswer: PromiseWithResolvers<void> | undefined
  #originError: ShoalError | undefined
  /** The swarm is waited for until then. */
  #patientUntil = 0
  #loneIsEnough = false
  #lastSmallAt = Number.NEGATIVE_INFINITY
  #staggering: NodeJS.Timeout | undefined

  constructor(components: OpeningComponents, init: OpeningInit & { readonly signal: AbortSignal }) {
    this.#components = components
    this.#init = init
    this.#stop = linkSignals([init.signal])
  }

  /** To be called once. @throws ShoalError of the origin when neither it nor the swarm has the blob, the signal's reason */
  async run(): Promise<Opened> {
    const { swarm } = this.#components
    const { headStartMs, isCautious } = this.#init
    const { signal } = this.#stop
    const onAbort = (): void => this.#fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    swarm.watch(() => this.#consider())
    if (!swarm.hasPeers || isCautious) this.#askOrigin()
    else {
      this.#after(headStartMs, () => this.#askOrigin())
      this.#after(headStartMs + LONE_SIZE_MS, () => {
        this.#loneIsEnough = true
        this.#consider()
      })
    }
    this.#consider()
    try {
      return await this.#decided.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
      swarm.watch(undefined)
      for (const timer of this.#timers) clearTimeout(timer)
      clearTimeout(this.#staggering)
      this.#stop[Symbol.dispose]()
    }
  }

  #consider(): void {
    if (this.#isDecided) return
    const { swarm } = this.#components
    const isOut = this.#originError !== undefined
    if (this.#init.isCautious && !isOut) return
    this.#considerSmall()
    const size = this.#size((isOut && swarm.isSearched) || this.#loneIsEnough)
    if (size !== undefined && planChunks(size).count > 1) this.#decideByPeers(size)
    else if (swarm.isSearched && swarm.peers.length === 0) {
      if (this.#originError === undefined) this.#askOrigin()
      else if (this.#lateMs < LATE_MS || performance.now() >= this.#patientUntil) this.#fail(this.#originError)
    }
  }

  get #lateMs(): number {
    return this.#components.lateness?.ms ?? 0
  }

  /** @param lone whether the word of one is enough; the best supported one counts then */
  #size(lone: boolean): number | undefined {
    const { swarm } = this.#components
    const { doubtedSizes, statedSize } = this.#init
    const offered = new Set(swarm.peers.map((peer) => peer.size))
    if (statedSize !== undefined && offered.has(statedSize) && !doubtedSizes.has(statedSize)) return statedSize
    const sizes = [...swarm.sizes]
      .filter(([size]) => offered.has(size) && !doubtedSizes.has(size))
      .sort(([, a], [, b]) => b.size - a.size)
    const [best, second] = sizes
    if (best === undefined || !Number.isSafeInteger(best[0]) || best[0] < 0) return undefined
    return lone || (best[1].size > 1 && second === undefined) ? best[0] : undefined
  }

  // ------------------------------------------------------------------------------------------------------- origin

  #askOrigin(): void {
    if (this.#originAnswer !== undefined || this.#isDecided) return
    this.#originAnswer = Promise.withResolvers()
    // Nobody may be there to hear of it.
    this.#originAnswer.promise.catch(() => undefined)
    const answer = this.#originAnswer
    void this.#components.within(() => this.#openAtOrigin(answer))
  }

  async #openAtOrigin(answer: PromiseWithResolvers<void>): Promise<void> {
    const stop = linkSignals([this.#init.signal])
    this.#originStop = stop
    try {
      const { source, swarm } = this.#components
      const askedBytes = swarm.hasPeers && !this.#init.isCautious ? this.#firstBytes : undefined
      const body = await source.open({ start: 0, end: askedBytes }, { signal: stop.signal })
      answer.resolve()
      if (this.#isDecided) stop.abort(new DOMException('the swarm was faster', 'AbortError'))
      else this.#decide({ by: 'origin', body, stop, askedBytes })
    } catch (error) {
      answer.reject(error)
      stop[Symbol.dispose]()
      this.#originFailed(toShoalError(error))
    }
  }

  /** The rest is shared with others. It tells whether the client may have the blob, how large that is, and gives the client its first bytes. */
  get #firstBytes(): number {
    const { statedSize } = this.#init
    if (statedSize === undefined || planChunks(statedSize).count === 1) return FIRST_BYTES
    return headBytes(statedSize, this.#components.swarm.peerCount + 1)
  }

  /** What the origin refuses, it refuses; when it can't be asked, the swarm may do. */
  #originFailed(error: ShoalError): void {
    if (this.#isDecided) return
    this.#originError = error
    const { swarm } = this.#components
    if (!isOutage(error) || !swarm.hasPeers) {
      this.#fail(error)
      return
    }
    const patientMs = patience(OUTAGE_MS, this.#lateMs)
    this.#patientUntil = performance.now() + patientMs
    this.#after(patientMs, () => {
      this.#loneIsEnough = true
      this.#consider()
      this.#fail(error)
    })
    this.#consider()
  }

  // -------------------------------------------------------------------------------------------------------- peers

  #decideByPeers(size: number, bytes?: Buffer, bringer?: PeerSource): void {
    this.#decide({
      by: 'peers',
      size,
      bytes,
      bringer,
      originAnswer: this.#originAnswer?.promise,
      originError: this.#originError,
    })
  }

  #considerSmall(): void {
    for (const peer of this.#components.swarm.peers) {
      if (this.#askedForSmall.has(peer.id) || planChunks(Math.max(0, peer.size)).count > 1 || !peer.has(0)) continue
      const wait = this.#lastSmallAt + SMALL_STAGGER_MS - performance.now()
      if (wait > 0) {
        this.#staggering ??= setTimeout(() => {
          this.#staggering = undefined
          this.#consider()
        }, wait)
        return
      }
      this.#lastSmallAt = performance.now()
      this.#askedForSmall.add(peer.id)
      void this.#components.within(() => this.#fetchSmall(peer))
    }
  }

  async #fetchSmall(peer: PeerSource): Promise<void> {
    using limited = linkSignals([this.#stop.signal], SMALL_DEADLINE_MS)
    const begun = performance.now()
    try {
      const bytes = await raceAbort(collect(peer, limited.signal), limited.signal)
      if (digestOf('sha256', createHash('sha256').update(bytes).digest('hex')) === this.#init.digest) {
        peer.report({ type: 'delivered', bytes: bytes.length, ms: performance.now() - begun })
        this.#decideByPeers(bytes.length, bytes, peer)
      } else peer.report({ type: 'wrong-bytes', index: 0, bytes: bytes.length })
    } catch {
      if (this.#isDecided || this.#stop.signal.aborted) return
      peer.report(limited.signal.aborted ? { type: 'stalled' } : { type: 'failed' })
    }
    this.#lastSmallAt = Number.NEGATIVE_INFINITY
    this.#consider()
  }

  // ----------------------------------------------------------------------------------------------------- decision

  #decide(opened: Opened): void {
    if (this.#isDecided) return
    this.#isDecided = true
    this.#stop.abort(new DOMException('decided', 'AbortError'))
    this.#decided.resolve(opened)
  }

  #fail(error: unknown): void {
    if (this.#isDecided) return
    this.#isDecided = true
    this.#originStop?.abort(error)
    this.#stop.abort(error)
    this.#decided.reject(error)
  }

  #after(ms: number, then: () => void): void {
    this.#timers.push(setTimeout(then, ms))
  }
}

/** The whole blob of one chunk. @throws ShoalError of the peer, the signal's reason, or when it is longer than it said */
async function collect(peer: PeerSource, signal: AbortSignal): Promise<Buffer> {
  if (peer.size === 0) return Buffer.alloc(0)
  const body = await peer.open({ start: 0, end: peer.size }, { signal })
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body.bytes) {
    signal.throwIfAborted()
    bytes += piece.length
    if (bytes > peer.size) break
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
