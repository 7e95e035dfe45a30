/** One agent and its client, which pulls the layers in order, some at a time. Owns its transfers, what it tells, and who asks it for bytes. */
import { LaneLoad } from '../../src/swarm/lane/lane-load.ts'
import { LanePrecedence } from '../../src/swarm/lane/lane-precedence.ts'
import { LANE_TURNS } from '../../src/swarm/lane/lane-routes.ts'
import { LaneTurns } from '../../src/swarm/lane/lane-turns.ts'
import type { HostRole } from '../fleet/host-roles.ts'
import { type SimContent, SimDesk } from './sim-desk.ts'
import type { SimInterest } from './sim-interest.ts'
import type { SimLayer } from './sim-layer.ts'
import { SimLeases } from './sim-leases.ts'
import { Port } from './sim-network.ts'
import { mapOf, type SimStatement } from './sim-statement.ts'
import { SimTransfer } from './sim-transfer.ts'
import type { SimWorld } from './sim-world.ts'

/** As docker, and the client of the bench. */
const LAYERS_AT_ONCE = 3
/** As in `agent-swarm`. */
const LANE = { requestsPerPeer: 8, requests: 64, connectionsPerPeer: 4 }
/** As in `suppliers`. */
const MAX_SUPPLIERS = 8
/** Round trips for the manifest and the config, and what a registry takes for them. */
const SETUP = { trips: 4, ms: 15 }

export class SimHost {
  readonly index: number
  readonly id: string
  readonly role: HostRole
  readonly port: Port
  /** By host, when what was said last arrives there. */
  readonly saidUntil = new Map<SimHost, number>()
  readonly load = new LaneLoad(LANE)
  readonly turns = new LaneTurns(LANE_TURNS)
  readonly precedence: LanePrecedence
  readonly #world: SimWorld
  readonly #desks = new Map<SimLayer, SimDesk>()
  readonly #leases = new Map<SimLayer, SimLeases>()
  readonly #transfers = new Map<SimLayer, SimTransfer>()
  readonly #stored = new Map<SimLayer, SimContent>()
  readonly #lanes = new Map<SimHost, SimLane>()
  readonly #queue: SimLayer[] = []
  suppliers: readonly SimHost[] = []
  isAlive = true
  startedAt: number | undefined
  firstByteAt: number | undefined
  endedAt: number | undefined

  constructor(components: { readonly world: SimWorld }, init: { readonly index: number; readonly role: HostRole }) {
    this.#world = components.world
    this.precedence = new LanePrecedence({ clock: () => components.world.events.now })
    this.index = init.index
    this.role = init.role
    this.id = `agent ${init.index}`
    const { name, rate, zone } = init.role
    this.port = new Port({ name, upRate: rate, downRate: rate, zone })
  }

  get verifiedChunks(): number {
    let count = 0
    for (const layer of this.#stored.keys()) count += layer.plan.count
    for (const { verifiedCount } of this.#transfers.values()) count += verifiedCount
    return count
  }

  desk(layer: SimLayer): SimDesk {
    const known = this.#desks.get(layer)
    if (known !== undefined) return known
    const desk = new SimDesk({ world: this.#world, host: this, layer })
    this.#desks.set(layer, desk)
    return desk
  }

  leases(layer: SimLayer): SimLeases {
    const known = this.#leases.get(layer)
    if (known !== undefined) return known
    const leases = new SimLeases({ world: this.#world, host: this, layer })
    this.#leases.set(layer, leases)
    return leases
  }

  interest(layer: SimLayer): SimInterest | undefined {
    return this.#transfers.get(layer)?.interest
  }

  transfer(layer: SimLayer): SimTransfer | undefined {
    return this.#transfers.get(layer)
  }

  /** What is here of it; undefined for nothing. */
  content(layer: SimLayer): SimContent | undefined {
    const stored = this.#stored.get(layer)
    if (stored !== undefined) return stored
    const transfer = this.#transfers.get(layer)
    return transfer === undefined || transfer.verifiedCount === 0 ? undefined : transfer
  }

  /** Requests to one peer. */
  lane(peer: SimHost): SimLane {
    const known = this.#lanes.get(peer)
    if (known !== undefined) return known
    const lane = new SimLane(LANE.connectionsPerPeer)
    this.#lanes.set(peer, lane)
    return lane
  }

  /** It brought something: the likeliest to have the next layer. */
  suppliedBy(peer: SimHost): void {
    if (this.suppliers[0] === peer) return
    this.suppliers = [peer, ...this.suppliers.filter((other) => other !== peer)].slice(0, MAX_SUPPLIERS)
  }

  /** It has all layers from the start. */
  seed(): void {
    for (const layer of this.#world.layers) this.#store(layer)
  }

  start(): void {
    this.startedAt = this.#world.events.now
    this.#queue.push(...this.#world.layers)
    this.#world.events.after(SETUP.ms + 2 * SETUP.trips * this.#world.latencyMs, () => {
      for (let at = 0; at < LAYERS_AT_ONCE; at++) this.#next()
    })
  }

  kill(): void {
    this.isAlive = false
    for (const transfer of this.#transfers.values()) transfer.end()
  }

  /** A peer is gone. */
  lost(peer: SimHost): void {
    for (const desk of this.#desks.values()) desk.drop(peer)
    for (const { interest } of this.#transfers.values()) interest.drop(peer)
    for (const leases of this.#leases.values()) leases.lost(peer)
    this.suppliers = this.suppliers.filter((other) => other !== peer)
    this.#lanes.delete(peer)
  }

  #next(): void {
    const layer = this.#queue.shift()
    if (layer === undefined || !this.isAlive) return
    const events = {
      firstByte: (): void => {
        this.firstByteAt ??= this.#world.events.now
      },
      complete: (): void => this.#arrived(layer),
    }
    const transfer = new SimTransfer({ world: this.#world, host: this, events }, layer)
    this.#transfers.set(layer, transfer)
    transfer.begin()
  }

  #arrived(layer: SimLayer): void {
    this.#transfers.delete(layer)
    this.#store(layer)
    this.desk(layer).changed()
    if (this.#stored.size === this.#world.layers.length) {
      this.endedAt = this.#world.events.now
      this.#lanes.clear()
    }
    this.#next()
  }

  #store(layer: SimLayer): void {
    let map: readonly SimStatement[] | undefined
    const bits = new Uint8Array(0)
    this.#stored.set(layer, { isComplete: true, bits, statements: () => (map ??= [mapOf(layer, this.id)]) })
  }
}

/** The connections to one peer: a request takes one, or waits for its turn. */
export class SimLane {
  readonly #most: number
  readonly #waiting = new Set<() => void>()
  #taken = 0

  constructor(most: number) {
    this.#most = most
  }

  /** @returns a function that gives the place back, to be called once */
  take(begin: () => void): () => void {
    let isTaken = false
    const start = (): void => {
      isTaken = true
      this.#taken += 1
      begin()
    }
    if (this.#taken < this.#most) start()
    else this.#waiting.add(start)
    let isBack = false
    return () => {
      if (isBack) return
      isBack = true
      this.#waiting.delete(start)
      if (!isTaken) return
      this.#taken -= 1
      const [next] = this.#waiting
      if (next === undefined) return
      this.#waiting.delete(next)
      next()
    }
  }
}
