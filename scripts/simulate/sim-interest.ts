/**
 * Whom one host asks about one layer, as `swarm/exchange/blob-interest` and `swarm/exchange/peer-search` do: the nearest ones first, then whom they name, then whom the directory knows. At
 * most `MAX_ASKED` stand asked, and some that are known to have something or asked this host.
 */
import type { ChunkStatement, Conduct, PeerSource, SourceBody } from '../../src/blob/ports.ts'
import { ChunkBitmap } from '../../src/swarm/encoding/chunk-bitmap.ts'
import { type Candidate, CHANGE_MS, hasPlaceFor } from '../../src/swarm/exchange/blob-interest.ts'
import { NEAREST, SEARCH_LIMITS } from '../../src/swarm/exchange/peer-search.ts'
import { FULL_MESH } from '../../src/swarm/node/member-exchange.ts'
import { MAX_ASKED } from '../../src/swarm/protocol/wire-messages.ts'
import type { SimHost } from './sim-host.ts'
import type { SimLayer } from './sim-layer.ts'
import { type SimStatement, SmallSet } from './sim-statement.ts'
import type { SimWorld } from './sim-world.ts'

/** As in `peer-search`. */
const ENOUGH_PROVIDERS = 8
const SUPPLIERS = 4
const DIALS_PER_ROUND = 24
/** As in `blob-interest`. */
const ANSWER_MS = 2_000
const NOTHING_MS = 2_000
const FULL_MS = 3_000
/** What a lookup in the DHT gives, and round trips until then. */
const LOOKUP = { providers: 20, trips: 3 }
/** Round trips of a new connection: TCP, noise, hello, yamux. */
const DIAL_TRIPS = 5

export interface SimInterestEvents {
  found(peer: SimPeer): void
  gained(peer: SimPeer): void
  left(peer: SimPeer): void
  stated(statement: ChunkStatement, told: SimStatement): void
}

interface Asked {
  state: 'asking' | 'none' | SimPeer
  readonly candidate: Candidate
  wantsToo: boolean
  readonly at: number
  isPoor: boolean
  readonly heard: SmallSet
}

/** Another agent, as a source of chunks. */
export class SimPeer implements PeerSource {
  readonly kind = 'peer'
  readonly id: string
  readonly size: number
  readonly host: SimHost
  readonly chunks: ChunkBitmap
  readonly #report: (conduct: Conduct) => void

  constructor(host: SimHost, layer: SimLayer, report: (conduct: Conduct) => void) {
    this.id = host.id
    this.size = layer.plan.size
    this.host = host
    this.chunks = new ChunkBitmap(layer.plan.count)
    this.#report = report
  }

  has(index: number): boolean {
    return this.chunks.has(index)
  }

  get bits(): Uint8Array {
    return this.chunks.bits
  }

  report(conduct: Conduct): void {
    this.#report(conduct)
  }

  open(): Promise<SourceBody> {
    return Promise.reject(new Error('nothing is read in a simulation'))
  }
}

export class SimInterest {
  readonly #world: SimWorld
  readonly #host: SimHost
  readonly #layer: SimLayer
  readonly #events: SimInterestEvents
  readonly #asked = new Map<SimHost, Asked>()
  readonly #full = new Map<SimHost, number>()
  readonly #stated = new SmallSet()
  #dialsLeft = DIALS_PER_ROUND
  #changedAt = -Infinity
  #isClosed = false

  constructor(
    components: { readonly world: SimWorld; readonly host: SimHost; readonly events: SimInterestEvents },
    layer: SimLayer,
  ) {
    this.#world = components.world
    this.#host = components.host
    this.#events = components.events
    this.#layer = layer
  }

  start(): void {
    this.#suggestNear()
    const { graceMs, pausesMs } = SEARCH_LIMITS
    this.#world.events.after(this.#world.hosts.length <= FULL_MESH ? graceMs.all : graceMs.some, () => {
      if (this.#providers === 0) this.#lookUp()
    })
    const round = (turn: number): void => {
      const pauseMs = pausesMs[Math.min(turn, pausesMs.length - 1)] ?? 0
      this.#world.events.after(pauseMs, () => {
        if (this.#isClosed || !this.#host.isAlive) return
        this.#dialsLeft = DIALS_PER_ROUND
        if (this.#providers < ENOUGH_PROVIDERS) {
          this.#suggestNear()
          this.#lookUp()
        }
        round(turn + 1)
      })
    }
    round(0)
  }

  get asksMany(): boolean {
    return this.#asked.size >= MAX_ASKED
  }

  hasHeard(peer: SimHost, { id }: SimStatement): boolean {
    return this.#asked.get(peer)?.heard.has(id) ?? false
  }

  /** Whether the peer said that it has the chunk. */
  hasChunk(peer: SimHost, index: number): boolean {
    const state = this.#asked.get(peer)?.state
    return state instanceof SimPeer && state.has(index)
  }

  have(peer: SimHost, bits: Uint8Array | undefined, statements: readonly SimStatement[]): void {
    const asked = this.#asked.get(peer)
    if (asked === undefined) return
    this.#hear(asked, statements)
    const isKnown = asked.state instanceof SimPeer
    const known = asked.state instanceof SimPeer ? asked.state : this.#peerOf(peer, asked)
    const grew = bits === undefined ? known.chunks.fill() : known.chunks.addAll(bits)
    asked.state = known.chunks.size === 0 ? 'none' : known
    if (!grew) return
    if (isKnown) this.#events.gained(known)
    else this.#events.found(known)
  }

  more(peer: SimHost, indexes: readonly number[], statements: readonly SimStatement[]): void {
    const asked = this.#asked.get(peer)
    if (asked === undefined) return
    this.#hear(asked, statements)
    if (!(asked.state instanceof SimPeer)) return
    let grew = false
    for (const index of indexes) if (asked.state.chunks.add(index)) grew = true
    if (grew) this.#events.gained(asked.state)
  }

  none(peer: SimHost): void {
    const asked = this.#asked.get(peer)
    if (asked !== undefined) this.#end(asked)
  }

  /** It tells others. */
  full(peer: SimHost): void {
    this.#full.set(peer, this.#world.events.now)
    this.#remove(peer)
  }

  /** It asked this host. */
  alsoWants(peer: SimHost): void {
    this.#full.delete(peer)
    const asked = this.#asked.get(peer)
    if (asked !== undefined) asked.wantsToo = true
    this.#suggest(peer, 'asker')
  }

  others(peers: readonly SimHost[]): void {
    for (const peer of peers) this.#suggest(peer)
  }

  /** They have something of it. */
  provided(peers: readonly SimHost[]): void {
    for (const peer of peers) this.#suggest(peer, 'provider')
  }

  /** It is gone. */
  drop(peer: SimHost): void {
    this.#full.delete(peer)
    this.#remove(peer)
  }

  #remove(peer: SimHost): void {
    const asked = this.#asked.get(peer)
    if (asked === undefined) return
    this.#asked.delete(peer)
    this.#end(asked)
  }

  close(): void {
    this.#isClosed = true
    for (const peer of this.#asked.keys()) this.#send(peer, 'unwant')
    this.#asked.clear()
  }

  get #providers(): number {
    let count = 0
    for (const { state, isPoor } of this.#asked.values()) if (state instanceof SimPeer && !isPoor) count += 1
    return count
  }

  #suggestNear(): void {
    for (const peer of this.#host.suppliers.slice(0, SUPPLIERS)) this.#suggest(peer)
    for (const peer of this.#world.nearest(this.#layer, this.#host, NEAREST)) this.#suggest(peer)
  }

  #lookUp(): void {
    if (this.#isClosed || !this.#host.isAlive) return
    this.#world.events.after(2 * LOOKUP.trips * this.#world.latencyMs, () => {
      const providers = this.#world.providers(this.#layer)
      const from = Math.floor(this.#world.random() * providers.length)
      for (let at = 0; at < Math.min(LOOKUP.providers, providers.length); at++) {
        const provider = providers[(from + at) % providers.length]
        if (provider !== undefined) this.#suggest(provider, 'provider')
      }
    })
  }

  #suggest(peer: SimHost, candidate: Candidate = 'named'): void {
    if (this.#isClosed || peer === this.#host || !peer.isAlive || this.#asked.has(peer) || this.#isFull(peer)) return
    if (this.#world.isConnected(this.#host, peer)) {
      this.#ask(peer, candidate)
      return
    }
    if (this.#dialsLeft <= 0) return
    this.#dialsLeft -= 1
    this.#world.events.after(2 * DIAL_TRIPS * this.#world.latencyMs, () => {
      if (this.#world.connect(this.#host, peer)) this.#ask(peer, 'provider')
    })
  }

  #isFull(peer: SimHost): boolean {
    return this.#world.events.now - (this.#full.get(peer) ?? -Infinity) < FULL_MS
  }

  #ask(peer: SimHost, candidate: Candidate): void {
    if (this.#isClosed || this.#asked.has(peer) || !this.#makeRoom(candidate)) return
    this.#asked.set(peer, {
      state: 'asking',
      candidate,
      wantsToo: candidate === 'asker',
      at: this.#world.events.now,
      isPoor: false,
      heard: new SmallSet(),
    })
    this.#send(peer, 'want')
  }

  #makeRoom(candidate: Candidate): boolean {
    let askers = 0
    for (const asked of this.#asked.values()) if (asked.candidate === 'asker') askers += 1
    if (hasPlaceFor(candidate, { askers, others: this.#asked.size - askers })) return true
    const { now } = this.#world.events
    const isProvider = candidate === 'provider'
    if (candidate === 'asker' || (!isProvider && now - this.#changedAt < CHANGE_MS)) return false
    const poor = isProvider ? Infinity : now - NOTHING_MS
    const [peer, victim] =
      this.#firstAsked(({ state, at, wantsToo }) => state === 'none' && at < poor && !wantsToo) ??
      this.#firstAsked(({ state, at }) => state === 'asking' && at < now - ANSWER_MS) ??
      this.#firstAsked(({ isPoor }) => isPoor) ??
      this.#firstAsked(({ state }) => isProvider && state === 'none') ??
      []
    if (peer === undefined || victim === undefined) return false
    this.#changedAt = now
    this.#asked.delete(peer)
    this.#send(peer, 'unwant')
    this.#end(victim)
    return true
  }

  #firstAsked(matches: (asked: Asked) => boolean): readonly [SimHost, Asked] | undefined {
    for (const entry of this.#asked) if (matches(entry[1])) return entry
    return undefined
  }

  #hear({ heard }: Asked, statements: readonly SimStatement[]): void {
    for (const told of statements) {
      heard.add(told.id)
      if (this.#stated.has(told.id) || told.statement.signer === this.#host.id) continue
      this.#stated.add(told.id)
      this.#events.stated(told.statement, told)
    }
  }

  #peerOf(peer: SimHost, asked: Asked): SimPeer {
    return new SimPeer(peer, this.#layer, (conduct) => {
      asked.isPoor = conduct.type !== 'delivered'
      if (conduct.type === 'delivered') this.#host.suppliedBy(peer)
    })
  }

  #end(asked: Asked): void {
    const before = asked.state
    asked.state = 'none'
    if (before instanceof SimPeer) this.#events.left(before)
  }

  #send(peer: SimHost, type: 'want' | 'unwant'): void {
    const host = this.#host
    this.#world.tell(host, peer, this.#world.sizes.want, () => peer.desk(this.#layer)[type](host))
  }
}
