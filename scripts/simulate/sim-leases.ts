/**
 * Leases of one layer on one host: asks its coordinator as `swarm/leases/lease-client` does, and answers as `swarm/leases/lease-desk` does with a real `LeaseTable`. An ask that waits is
 * said again when chunks have come that were leased.
 */
import type { Lease, LeaseAsk } from '../../src/blob/ports.ts'
import { chunksIn, includesChunk, rangesOf } from '../../src/swarm/leases/chunk-ranges.ts'
import { CAME_BACK_MS, DESK_LIMITS, SENT_ON_MS } from '../../src/swarm/leases/lease-desk.ts'
import { type LeaseAnswer, LeaseTable } from '../../src/swarm/leases/lease-table.ts'
import { MAX_HOLDERS } from '../../src/swarm/protocol/wire-messages.ts'
import type { SimHost } from './sim-host.ts'
import type { SimLayer } from './sim-layer.ts'
import type { SimWorld } from './sim-world.ts'

/** Round trips of a new connection. */
const DIAL_TRIPS = 5
/** As in `lease-client`. */
const MAX_HOPS = 3

interface Said extends LeaseAsk {
  readonly heard: number
  readonly leaves: boolean
}

export class SimLeases {
  readonly #world: SimWorld
  readonly #host: SimHost
  readonly #layer: SimLayer
  readonly #held = new Set<number>()
  readonly #sentOn = new Map<SimHost, number>()
  #backAt = -Infinity
  #hops = 0
  #ask: LeaseAsk | undefined
  #coordinator: SimHost | undefined
  #heard = 0
  #table: LeaseTable | undefined
  #isTicking = false

  constructor(components: { readonly world: SimWorld; readonly host: SimHost; readonly layer: SimLayer }) {
    this.#world = components.world
    this.#host = components.host
    this.#layer = components.layer
  }

  // ------------------------------------------------------------------------------------------------------- asking

  ask(ask: LeaseAsk): void {
    const isFirst = this.#ask === undefined
    this.#ask = ask
    if (isFirst) this.#choose()
    this.#say()
  }

  came(indexes: Iterable<number>): void {
    const came = new Set(indexes)
    let isOwed = false
    for (const chunk of came) if (this.#held.delete(chunk)) isOwed = true
    if (this.#ask === undefined) return
    const { gaps, fetching } = this.#ask
    const without = (ranges: LeaseAsk['gaps']): LeaseAsk['gaps'] =>
      [...came].some((chunk) => includesChunk(ranges, chunk))
        ? rangesOf([...chunksIn(ranges)].filter((chunk) => !came.has(chunk)))
        : ranges
    this.#ask = { ...this.#ask, gaps: without(gaps), fetching: without(fetching) }
    if (isOwed) this.#say()
  }

  close(): void {
    this.#ask = undefined
    if (this.#coordinator === undefined) return
    const gaps = rangesOf([...this.#held].toSorted((a, b) => a - b))
    this.#send(this.#coordinator, { size: this.#layer.plan.size, gaps, fetching: [], most: 0 }, true)
  }

  #heardFrom(peer: SimHost, { lease, serial }: LeaseAnswer, nearer: readonly SimHost[]): void {
    if (peer !== this.#coordinator) return
    this.#heard = serial
    const isAwaited = this.#ask !== undefined
    this.#ask = undefined
    for (const chunk of chunksIn(lease.ranges)) this.#held.add(chunk)
    const [next] = nearer
    if (next !== undefined && this.#hops < MAX_HOPS && !this.#world.isConnected(this.#host, next)) {
      this.#hops += 1
      this.#world.events.after(2 * DIAL_TRIPS * this.#world.latencyMs, () => this.#world.connect(this.#host, next))
    }
    if (isAwaited || lease.ranges.length > 0) this.#leased(lease)
  }

  #leased(lease: Lease): void {
    this.#host.transfer(this.#layer)?.leased(lease)
  }

  #choose(): void {
    const nearest = this.#world.nearestOf(this.#layer, [this.#host, ...this.#world.nearest(this.#layer, this.#host, 1)])
    if (nearest === this.#coordinator) return
    this.#coordinator = nearest
    this.#heard = 0
  }

  #say(): void {
    if (this.#ask !== undefined && this.#coordinator !== undefined) this.#send(this.#coordinator, this.#ask, false)
  }

  #send(peer: SimHost, ask: LeaseAsk, leaves: boolean): void {
    const said = { ...ask, heard: this.#heard, leaves }
    const { sizes } = this.#world
    this.#world.tell(this.#host, peer, sizes.lease(ask.gaps.length + ask.fetching.length), () =>
      peer.leases(this.#layer).#asked(this.#host, said),
    )
  }

  // ---------------------------------------------------------------------------------------------------- answering

  #asked(peer: SimHost, { heard, leaves, ...ask }: Said): void {
    const { now } = this.#world.events
    this.#world.tally.lease(this.#host.index, now)
    if (this.#sendsOn(peer, leaves)) return
    this.#table ??= new LeaseTable({ count: this.#layer.plan.count })
    const answers = this.#table.ask(peer.id, leaves ? { ...ask, most: 0 } : ask, now, heard)
    if (!leaves) this.#nameHolders(peer, this.#table, ask)
    if (leaves) answers.push(...this.#table.withdraw(peer.id, now))
    this.#answer(leaves ? answers.filter(({ agent }) => agent !== peer.id) : answers)
    this.#tick()
  }

  /** As `LeaseDesk` does. */
  #sendsOn(peer: SimHost, leaves: boolean): boolean {
    if (leaves || peer === this.#host || this.#table?.has(peer.id) === true) return false
    const times = this.#sentOn.get(peer) ?? 0
    const forMs = SENT_ON_MS[times]
    const nearer = this.#nearer.filter((other) => other !== peer)
    const { now } = this.#world.events
    if (nearer.length === 0 || now - this.#backAt < CAME_BACK_MS) return false
    if (forMs === undefined) {
      this.#backAt = now
      return false
    }
    this.#sentOn.set(peer, times + 1)
    const lease = { ranges: [], forMs, members: (this.#table?.members ?? 0) + this.#sentOn.size }
    this.#tell(peer, { agent: peer.id, kind: 'empty', serial: 0, lease }, nearer)
    return true
  }

  /** As `LeaseDesk` does. */
  #nameHolders(peer: SimHost, table: LeaseTable, { gaps }: LeaseAsk): void {
    if (table.members <= DESK_LIMITS.metByAll) return
    const named = table.bringers(gaps, MAX_HOLDERS + 1).filter((id) => id !== peer.id)
    if (named.length === 0) return
    const hosts = named.slice(0, MAX_HOLDERS).flatMap((id) => this.#world.byId(id) ?? [])
    const hear = () => peer.interest(this.#layer)?.provided(hosts)
    this.#world.tell(this.#host, peer, this.#world.sizes.others(hosts.length), hear)
  }

  /** A peer is gone. */
  lost(peer: SimHost): void {
    if (this.#table !== undefined) {
      this.#answer(this.#table.drop(peer.id, this.#world.events.now))
      this.#tick()
    }
    if (peer !== this.#coordinator || this.#ask === undefined) return
    this.#choose()
    this.#say()
  }

  #tick(): void {
    const table = this.#table
    if (table === undefined || this.#isTicking || table.isIdle) return
    this.#isTicking = true
    this.#world.events.after(DESK_LIMITS.tickMs, () => {
      this.#isTicking = false
      if (!this.#host.isAlive) return
      this.#answer(table.tick(this.#world.events.now))
      this.#tick()
    })
  }

  #answer(answers: readonly LeaseAnswer[]): void {
    if (answers.length === 0) return
    const nearer = this.#nearer
    for (const answer of answers) {
      const peer = this.#world.byId(answer.agent)
      if (peer !== undefined) this.#tell(peer, answer, nearer)
    }
  }

  get #nearer(): readonly SimHost[] {
    const [near] = this.#world.nearest(this.#layer, this.#host, 1)
    return near !== undefined && this.#world.nearestOf(this.#layer, [this.#host, near]) === near ? [near] : []
  }

  #tell(peer: SimHost, answer: LeaseAnswer, nearer: readonly SimHost[]): void {
    const { events, tally, sizes } = this.#world
    tally.lease(this.#host.index, events.now)
    this.#world.tell(this.#host, peer, sizes.leased(answer.lease.ranges.length), () =>
      peer.leases(this.#layer).#heardFrom(this.#host, answer, nearer),
    )
  }
}
