/**
 * One layer on its way to one host: what `blob/transfer-runs`, `filling` and `read-gate` do, in simulated time. The decisions are those of the real `scheduleRuns` on a real
 * snapshot; sources, leases, claims, trust and states of chunks are the real ones. Disk and hashing take `HASH_MS`.
 */

import { chunkEnd, chunkStart } from '../../src/blob/chunk-plan.ts'
import { type Step, scheduleRuns, type WantedChunk } from '../../src/blob/chunk-scheduler.ts'
import { ChunkStates } from '../../src/blob/chunk-states.ts'
import { ChunkTrust } from '../../src/blob/chunk-trust.ts'
import { BringerBook } from '../../src/blob/chunk-writer.ts'
import { ClaimBook } from '../../src/blob/claim-book.ts'
import { LeaseBook } from '../../src/blob/lease-book.ts'
import type { ChunkSource, ChunkStatement, Lease } from '../../src/blob/ports.ts'
import { Run, type Stop } from '../../src/blob/run.ts'
import { snapshotOf } from '../../src/blob/transfer-snapshot.ts'
import type { TransferSource } from '../../src/blob/transfer-source.ts'
import { TransferSources } from '../../src/blob/transfer-sources.ts'
import { ShoalError } from '../../src/errors.ts'
import { LANE_TURNS } from '../../src/swarm/lane/lane-routes.ts'
import { RateMeter } from '../../src/util/rate-meter.ts'
import type { SimContent } from './sim-desk.ts'
import type { SimHost } from './sim-host.ts'
import { SimInterest, SimPeer } from './sim-interest.ts'
import type { SimLayer } from './sim-layer.ts'
import type { Flow } from './sim-network.ts'
import { claimOf, hashOf, type SimStatement } from './sim-statement.ts'
import type { SimWorld } from './sim-world.ts'

const HASH_MS = 1
/** As in `transfer-swarm`: what is told together. */
const TELL_AFTER_MS = 20
const TELL_CLAIMS = 32
/** As in `read-gate`: a waiting reader looks again. */
const RECONSIDER_MS = 100
/** As the configuration's `swarm.headStart` and `swarm.holdBack`. */
const HEAD_START_MS = 10
const HOLD_BACK_MS = 10_000
/** As in `transfer-opening`. */
const HEAD_BYTES = { min: 1024, max: 16 * 1024 } as const
const HEADS_SHARE = 0.02
/** What a registry takes to answer. */
const ORIGIN_MS = 2

const NEVER: Stop = { signal: new AbortController().signal, abort: () => {} }
const ORIGIN: ChunkSource = {
  kind: 'origin',
  id: 'origin',
  open: () => Promise.reject(new Error('nothing is read in a simulation')),
}

/** Of so many calls of the policy one is timed. */
const SAMPLED = 64
const BUSY = new ShoalError('PEER_BUSY', 'too many requests')
const PUTS_OFF = new ShoalError('PEER_PUTS_OFF', 'others have been asking for longer')
const CROWDED = new ShoalError('PEER_CROWDED', 'it is given to others')

interface Running {
  readonly run: Run
  readonly first: number
  flow: Flow | undefined
  /** For its turn, at the other end. */
  isWaiting: boolean
  /** Lets go of what a request holds at the other end. */
  release: () => void
  isOver: boolean
}

/** As `TransferRuns` waits for others to be found. */
const SETTLE_MS = 50

export interface SimTransferEvents {
  firstByte(): void
  complete(): void
}

export class SimTransfer implements SimContent {
  readonly interest: SimInterest
  readonly #world: SimWorld
  readonly #host: SimHost
  readonly #layer: SimLayer
  readonly #events: SimTransferEvents
  readonly #chunks: ChunkStates
  readonly #book: ClaimBook
  readonly #trust: ChunkTrust
  readonly #sources = new TransferSources()
  readonly #leases: LeaseBook
  readonly #bringers = new BringerBook()
  readonly #runs = new Map<number, Running>()
  readonly #offset: number
  readonly #about = new Map<number, SimStatement[]>()
  readonly bits: Uint8Array
  #lastId = 0
  #spares = 0
  #state: 'opening' | 'filling' | 'over' = 'opening'
  #beganAt = 0
  /** What peers bring of late. */
  #fromPeers = new RateMeter(0)
  #ownAt = 0
  #early: SimPeer[] = []
  #reader = { chunk: 0, since: 0 }
  #hasByte = false
  #isThinking = false
  #untold: number[] = []
  #untoldClaims: number[] = []
  #isTelling = false

  constructor(
    components: { readonly world: SimWorld; readonly host: SimHost; readonly events: SimTransferEvents },
    layer: SimLayer,
  ) {
    const { world, host, events } = components
    this.#world = world
    this.#host = host
    this.#events = events
    this.#layer = layer
    const { plan } = layer
    this.#chunks = new ChunkStates(plan.count)
    this.#book = new ClaimBook({ plan, onlyHash: plan.count === 1 ? hashOf(0) : undefined })
    const [chunks, book] = [this.#chunks, this.#book]
    this.#trust = new ChunkTrust({
      chunks,
      book,
      hashOf: (index) => (chunks.of(index) === 'verified' ? hashOf(index) : undefined),
    })
    this.#leases = new LeaseBook({ clock: () => world.events.now }, { chunks: plan.count })
    this.bits = new Uint8Array(Math.ceil(plan.count / 8))
    this.#offset = world.random()
    this.interest = new SimInterest(
      {
        world,
        host,
        events: {
          found: (peer) => this.#found(peer),
          gained: () => {
            this.#leases.heard()
            this.#think()
          },
          left: (peer) => this.#left(peer),
          stated: (statement, told) => this.#stated(statement, told),
        },
      },
      layer,
    )
  }

  get isComplete(): boolean {
    return false
  }

  get verifiedCount(): number {
    return this.#chunks.verifiedCount
  }

  statements(indexes: readonly number[] | undefined): readonly SimStatement[] {
    const found = new Set<SimStatement>()
    for (const index of indexes ?? this.#about.keys()) {
      for (const statement of this.#about.get(index) ?? []) found.add(statement)
    }
    return [...found]
  }

  begin(): void {
    this.interest.start()
    this.#world.events.after(HEAD_START_MS, () => {
      if (this.#state === 'opening' && this.#host.isAlive) this.#askHead()
    })
  }

  leased(lease: Lease): void {
    if (this.#state !== 'filling') return
    this.#leases.leased(lease)
    this.#schedule()
  }

  /** The host is dead. */
  end(): void {
    this.#state = 'over'
    for (const running of this.#runs.values()) this.#cancel(running)
    this.#runs.clear()
  }

  // ---------------------------------------------------------------------------------------------------- beginning

  /** What the origin is asked for first, for the reader alone. */
  #askHead(): void {
    const { network, origin, events } = this.#world
    const { size } = this.#layer.plan
    const share = Math.floor((size * HEADS_SHARE) / (this.#world.connectedCount + 1))
    const bytes = Math.min(size, HEAD_BYTES.max, Math.max(HEAD_BYTES.min, share))
    events.after(network.delay(this.#host.port, origin) + ORIGIN_MS, () => {
      if (!this.#host.isAlive) return
      const flow = network.start(origin, this.#host.port, bytes, {
        arrived: () => {
          if (this.#state === 'over') return
          this.#byteSeen()
          if (this.#state === 'opening') this.#fill()
          else network.cancel(flow)
        },
        ended: () => {},
      })
    })
  }

  #fill(): void {
    this.#state = 'filling'
    const { now } = this.#world.events
    this.#beganAt = now
    this.#fromPeers = new RateMeter(now)
    this.#ownAt = now
    this.#reader = { chunk: 0, since: now }
    this.#sources.add(ORIGIN, 'origin')
    for (const peer of this.#early) this.#sources.addPeer(peer)
    this.#early = []
    this.#schedule()
    this.#reconsider()
  }

  #reconsider(): void {
    this.#world.events.after(RECONSIDER_MS, () => {
      if (this.#state !== 'filling' || !this.#host.isAlive) return
      const { chunk, since } = this.#reader
      const isLate = this.#world.events.now - since >= HOLD_BACK_MS
      if (isLate && !this.#trust.lonePasses && this.#trust.isLone(chunk)) {
        this.#trust.lonePasses = true
        this.#advance()
      }
      this.#schedule()
      this.#reconsider()
    })
  }

  // -------------------------------------------------------------------------------------------------------- swarm

  #found(peer: SimPeer): void {
    if (this.#state === 'over') return
    if (this.#state === 'opening') {
      this.#early.push(peer)
      // its size is what the manifest says
      this.#fill()
      return
    }
    if (this.#sources.addPeer(peer)) this.#schedule()
  }

  #left(peer: SimPeer): void {
    const gone = this.#sources.removePeer(peer)
    if (gone === undefined || this.#state !== 'filling') return
    for (const running of this.#runs.values()) if (running.run.source === gone) this.#cutShort(running)
    this.#schedule()
  }

  #stated(statement: ChunkStatement, told: SimStatement): void {
    if (this.#book.add(statement)) this.#remember(told)
  }

  #remember(told: SimStatement): void {
    for (const index of told.statement.hashes.keys()) {
      const about = this.#about.get(index)
      if (about === undefined) this.#about.set(index, [told])
      else about.push(told)
    }
  }

  /** Chunks that come fast are told together. */
  #tell(index: number, isOwn: boolean): void {
    this.#untold.push(index)
    if (isOwn) this.#untoldClaims.push(index)
    if (this.#untoldClaims.length >= TELL_CLAIMS) this.#tellNow()
    else if (!this.#isTelling) {
      this.#isTelling = true
      this.#world.events.after(TELL_AFTER_MS, () => this.#tellNow())
    }
  }

  #tellNow(): void {
    this.#isTelling = false
    if (this.#state === 'over' || this.#untold.length === 0) return
    const [untold, claims] = [this.#untold, this.#untoldClaims]
    this.#untold = []
    this.#untoldClaims = []
    if (claims.length > 0 && this.#chunks.count > 1) this.#remember(claimOf(this.#layer, this.#host.id, claims))
    this.#host.desk(this.#layer).gained(untold)
    this.#host.leases(this.#layer).came(untold)
  }

  // ------------------------------------------------------------------------------------------------------- policy

  /** News come by the hundred where many agents are: they may be thought about together. */
  #think(): void {
    const { thinkMs, events } = this.#world
    if (thinkMs === 0) {
      this.#schedule()
      return
    }
    if (this.#isThinking || this.#state !== 'filling') return
    this.#isThinking = true
    events.after(thinkMs, () => {
      this.#isThinking = false
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#state !== 'filling' || !this.#host.isAlive) return
    const { tally, events } = this.#world
    const { now } = events
    const isSampled = tally.calls % SAMPLED === 0
    const begun = isSampled ? cpuMs() : 0
    const steps = scheduleRuns(
      snapshotOf({
        plan: this.#layer.plan,
        now,
        beganAt: this.#beganAt,
        ownAt: this.#ownAt,
        offset: this.#offset,
        sources: this.#sources,
        runs: this.#fetching(),
        chunks: this.#chunks,
        trust: this.#trust,
        bringers: this.#bringers,
        peersBytesPerSecond: this.#fromPeers.bytesPerSecond(now),
        spares: this.#spares,
        wanted: this.#wanted(now),
        leases: this.#leases.view(now, now - this.#beganAt >= SETTLE_MS),
      }),
    )
    tally.calls += 1
    if (isSampled) tally.callMs += SAMPLED * (cpuMs() - begun)
    for (const step of steps) this.#carryOut(step)
  }

  #wanted(now: number): readonly WantedChunk[] {
    return [{ chunk: this.#reader.chunk, waitedMs: now - this.#reader.since }]
  }

  #fetching(): Run[] {
    const runs: Run[] = []
    for (const { run, flow, isWaiting } of this.#runs.values()) {
      if (run.next >= run.end) continue
      // its bytes trickle in, whatever the quanta of the simulation are
      const comes = flow !== undefined && (flow.underWay > 0 || flow.isQueued)
      if (comes || isWaiting) run.lastByteAt = this.#world.events.now
      runs.push(run)
    }
    return runs
  }

  #carryOut(step: Step): void {
    if (step.type === 'start') {
      const source = this.#sources.byId(step.source)
      if (step.isSpare) this.#spares += 1
      if (source !== undefined) this.#launch(source, step)
      return
    }
    if (step.type === 'ask-lease') {
      const { gaps, fetching, most } = step
      const ask = { size: this.#layer.plan.size, gaps, fetching, most }
      this.#leases.asked(ask)
      this.#host.leases(this.#layer).ask(ask)
      return
    }
    const running = this.#runs.get(step.run)
    if (running === undefined) return
    const { run } = running
    if (step.type === 'resize') run.end = Math.min(run.askedEnd, Math.max(run.next, step.to))
    else if (run.isTrusted) {
      run.source.rests(this.#world.events.now)
      this.#cutShort(running)
    } else this.#stalled(run.source)
  }

  // --------------------------------------------------------------------------------------------------------- runs

  #launch(source: TransferSource, step: { from: number; to: number; askedEnd: number; isSpare: boolean }): void {
    const { plan } = this.#layer
    const { from, to, askedEnd, isSpare } = step
    const isFresh = !isSpare && this.#chunks.of(from) === 'absent'
    const run = new Run({
      id: ++this.#lastId,
      source,
      stop: NEVER,
      askedEnd,
      isExtra: [...this.#runs.values()].some((other) => other.run.isTrusted),
      isSpare,
      startedAt: this.#world.events.now,
      next: from,
      end: to,
      position: (isFresh ? this.#chunks.reached(from) : undefined) ?? chunkStart(plan, from),
    })
    const running: Running = { run, first: from, flow: undefined, isWaiting: false, release: () => {}, isOver: false }
    this.#runs.set(run.id, running)
    const bytes = chunkEnd(plan, askedEnd - 1) - run.position
    const { peer } = source
    if (peer instanceof SimPeer) this.#askPeer(running, peer.host, bytes)
    else this.#askOrigin(running, bytes)
  }

  #askOrigin(running: Running, bytes: number): void {
    const { network, origin, events } = this.#world
    events.after(network.delay(this.#host.port, origin) + ORIGIN_MS, () => {
      if (!running.isOver) running.flow = network.start(origin, this.#host.port, bytes, this.#flowEvents(running))
    })
  }

  #askPeer(running: Running, peer: SimHost, bytes: number): void {
    const { network, events } = this.#world
    running.release = this.#host.lane(peer).take(() => {
      events.after(network.delay(this.#host.port, peer.port), () => {
        if (running.isOver || !peer.isAlive) return
        const leave = peer.load.enter(this.#host.id)
        if (typeof leave === 'string') {
          events.after(network.delay(peer.port, this.#host.port), () => this.#refused(running, BUSY))
          return
        }
        const giveBack = running.release
        running.release = () => {
          leave()
          giveBack()
        }
        if (this.#layer.plan.count > 1) this.#takeTurn(running, peer, bytes)
        else running.flow = network.start(peer.port, this.#host.port, bytes, this.#flowEvents(running))
      })
    })
  }

  /** As `LaneRoutes` does. */
  #takeTurn(running: Running, peer: SimHost, bytes: number): void {
    const { network, events } = this.#world
    running.isWaiting = true
    let isPutOff = true
    let isRefused = false
    let giveBack: (() => void) | undefined
    const leave = (): void => {
      giveBack?.()
      leavePlace?.()
    }
    const leavePlace = peer.precedence.take(this.#host.id, () => {
      isPutOff = false
      giveBack = peer.turns.take(`${this.#layer.index} ${running.first}`, this.#host.id, () => {
        running.isWaiting = false
        events.after(Math.max(LANE_TURNS.takesMs, bytes / LANE_TURNS.bytesPerMs), leave)
        if (!running.isOver) running.flow = network.start(peer.port, this.#host.port, bytes, this.#flowEvents(running))
      })
      isRefused = giveBack === undefined
    })
    const release = running.release
    running.release = () => {
      leave()
      release()
    }
    if (!running.isWaiting) return
    events.after(isRefused || leavePlace === undefined ? 0 : LANE_TURNS.waitMs, () => {
      if (!running.isWaiting || running.isOver) return
      leave()
      events.after(network.delay(peer.port, this.#host.port), () =>
        this.#refused(running, isPutOff ? PUTS_OFF : CROWDED),
      )
    })
  }

  #flowEvents(running: Running): { arrived(bytes: number): void; ended(): void } {
    return { arrived: (bytes) => this.#arrived(running, bytes), ended: () => this.#end(running) }
  }

  #refused(running: Running, error: ShoalError): void {
    if (running.isOver || this.#state !== 'filling') return
    const { run } = running
    run.source.failed(error, {
      now: this.#world.events.now,
      gained: false,
      hasOthers: true,
      from: run.next,
      to: run.end,
    })
    this.#end(running)
  }

  #arrived(running: Running, bytes: number): void {
    const { run } = running
    if (running.isOver || this.#state !== 'filling') return
    const { plan } = this.#layer
    run.lastByteAt = this.#world.events.now
    if (!run.isTrusted) this.#fromPeers.add(bytes, run.lastByteAt)
    const before = run.next
    if (!run.isSpare) this.#leases.progressed(before, bytes, run.source.source.kind)
    let rest = bytes
    while (rest > 0 && run.next < run.end) {
      const isKept = run.isSpare || this.#chunks.of(run.next) !== 'absent'
      const end = chunkEnd(plan, run.next)
      const taken = Math.min(rest, end - run.position)
      run.position += taken
      rest -= taken
      if (run.position < end) break
      if (isKept) this.#settle(running)
      else this.#landed(run)
    }
    if (run.isTrusted && !run.isSpare && run.next === this.#reader.chunk) {
      // the reader has taken what is there of it
      this.#byteSeen()
      this.#reader.since = this.#world.events.now
    }
    if (run.next > before && run.askedEnd > run.end) this.#schedule()
    if (run.next >= run.end && run.end < run.askedEnd) this.#end(running)
  }

  #settle(running: Running): void {
    const { run } = running
    if (this.#chunks.of(run.next) !== 'absent') {
      run.next += 1
      return
    }
    const writers = [...this.#runs.values()].filter((other) => other !== running && other.run.isWriterOf(run.next))
    run.isSpare = false
    for (const writer of writers) {
      if (writer.run.source.wasLate()) this.#stalled(writer.run.source)
      this.#cutShort(writer)
    }
    this.#landed(run)
  }

  #landed(run: Run): void {
    const index = run.next
    const isOwn = run.isTrusted
    this.#bringers.set(index, !isOwn && this.#chunks.reached(index) !== undefined ? 'several' : run.source)
    run.next += 1
    this.#chunks.set(index, isOwn ? 'received' : 'arrived')
    for (const other of this.#runs.values()) {
      if (other.run.isSpare && other.run.next === index) this.#cutShort(other)
    }
    this.#advance()
    this.#world.events.after(HASH_MS, () => this.#verified(index, isOwn))
  }

  #verified(index: number, isOwn: boolean): void {
    if (this.#state !== 'filling' || !this.#host.isAlive) return
    if (isOwn) {
      this.#ownAt = this.#world.events.now
      this.#book.addOwn(index, hashOf(index))
    }
    const isFirst = this.#chunks.verifiedCount === 0
    this.#chunks.set(index, 'verified')
    this.bits[index >>> 3] = (this.bits[index >>> 3] ?? 0) | (1 << (index & 7))
    const bringer = this.#bringers.take(index)
    this.#leases.came(index, bringer?.source.kind ?? 'peer')
    bringer?.broughtGood()
    if (isFirst) this.#world.announced(this.#layer, this.#host)
    this.#tell(index, isOwn)
    this.#advance()
    if (this.#chunks.verifiedCount === this.#chunks.count) this.#complete()
  }

  #complete(): void {
    this.#tellNow()
    this.end()
    this.#byteSeen()
    this.interest.close()
    this.#host.leases(this.#layer).close()
    this.#events.complete()
  }

  /** A request is over, for whatever reason. */
  #end(running: Running): void {
    if (running.isOver) return
    const { run, first } = running
    this.#cancel(running)
    this.#runs.delete(run.id)
    if (run.next > first) run.source.brought(run.received, this.#world.events.now - run.startedAt)
    if (!run.isCut) run.source.answered()
    this.#leave(run)
    this.#schedule()
  }

  #leave(run: Run): void {
    if (run.isSpare || run.next >= this.#chunks.count || this.#chunks.of(run.next) !== 'absent') return
    if (run.isTrusted && run.position > chunkStart(this.#layer.plan, run.next)) {
      this.#chunks.setReached(run.next, run.position)
    }
  }

  #cancel(running: Running): void {
    running.isOver = true
    running.release()
    if (running.flow !== undefined) this.#world.network.cancel(running.flow)
  }

  #cutShort(running: Running): void {
    if (running.isOver) return
    running.run.isCut = true
    this.#world.events.after(0, () => this.#end(running))
  }

  #stalled(source: TransferSource): void {
    source.peer?.report({ type: 'stalled' })
    if (source.stalled(this.#world.events.now)) {
      source.error ??= new ShoalError('STALLED', 'the peer sends nothing, or too slowly')
    }
    for (const running of this.#runs.values()) if (running.run.source === source) this.#cutShort(running)
  }

  // ------------------------------------------------------------------------------------------------------- reader

  #advance(): void {
    const last = this.#chunks.count - 1
    let { chunk } = this.#reader
    while (chunk < last && this.#trust.isReadable(chunk)) chunk += 1
    if (chunk === this.#reader.chunk) return
    this.#byteSeen()
    this.#reader = { chunk, since: this.#world.events.now }
    const isOnItsWay = [...this.#runs.values()].some(({ run }) => run.isTrusted && run.isWriterOf(chunk))
    if (!isOnItsWay) this.#world.events.after(0, () => this.#schedule())
  }

  #byteSeen(): void {
    if (this.#hasByte) return
    this.#hasByte = true
    this.#events.firstByte()
  }
}

/** CPU time of this thread, milliseconds: others may use the same cores. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
