/** A fleet in one process and in simulated time. Owns the hosts and the origin, says who knows whom, starts and kills hosts as planned, and runs until all are done. */
import type { Digest } from '../../src/oci/digest.ts'
import { nearestTo } from '../../src/swarm/discovery/nearest.ts'
import { MAX_CONNECTIONS } from '../../src/swarm/node/member-exchange.ts'
import type { FleetPlan } from '../fleet/fleet-plan.ts'
import { assignRoles, boundOf, type HostRole } from '../fleet/host-roles.ts'
import { wireFactor } from '../fleet/link-shape.ts'
import { EventQueue } from './event-queue.ts'
import { fastRandom } from './fast-random.ts'
import { type MessageSizes, measureMessages } from './message-sizes.ts'
import { SimHost } from './sim-host.ts'
import { SimLayer } from './sim-layer.ts'
import { Port, SimNetwork } from './sim-network.ts'
import { SimTally } from './sim-tally.ts'
import type { SimWorld } from './sim-world.ts'

export interface SimInit {
  readonly plan: FleetPlan
  readonly seed: string
  readonly latencyMs: number
  readonly quantumBytes: number
  readonly thinkMs: number
  /** Members that an agent is connected with, on average. */
  readonly connections: number
}

export interface SimOutcome {
  readonly boundSeconds: number
  readonly hosts: readonly SimHost[]
  readonly roles: readonly HostRole[]
  readonly imageBytes: number
  readonly originBytes: number
  readonly borderBytes: number
  readonly tally: SimTally
  /** Simulated. */
  readonly seconds: number
  readonly events: number
  readonly wallSeconds: number
  /** The most that this process took so far. */
  readonly rssBytes: number
}

/** The DHT tells of a new record after so long. */
const RECORD_MS = 190
/** A simulation ends when hosts could have had the image one after another. */
const PATIENCE = 20
const WATCH_MS = 50

export async function simulateFleet(init: SimInit): Promise<SimOutcome> {
  return new SimFleet(init, await measureMessages()).run()
}

class SimFleet implements SimWorld {
  readonly events = new EventQueue()
  readonly network: SimNetwork
  readonly origin: Port
  readonly sizes: MessageSizes
  readonly tally: SimTally
  readonly layers: readonly SimLayer[]
  readonly hosts: readonly SimHost[]
  readonly latencyMs: number
  readonly thinkMs: number
  readonly random: () => number
  readonly connectedCount: number
  readonly #init: SimInit
  readonly #roles: readonly HostRole[]
  readonly #byId: ReadonlyMap<string, SimHost>
  /** All hosts by their distance to the layer's digest. */
  readonly #orders = new Map<Digest, readonly SimHost[]>()
  readonly #ranks = new Map<Digest, ReadonlyMap<SimHost, number>>()
  readonly #providers = new Map<SimLayer, SimHost[]>()
  /** With whom each host has got connected since the start. */
  readonly #dialled = new Map<SimHost, Set<SimHost>>()

  constructor(init: SimInit, sizes: MessageSizes) {
    const { plan, seed, latencyMs, quantumBytes, thinkMs, connections } = init
    this.#init = init
    this.sizes = sizes
    this.latencyMs = latencyMs
    this.thinkMs = thinkMs
    this.random = fastRandom(`${seed} choices`)
    this.#roles = assignRoles(plan, seed)
    this.tally = new SimTally(plan.hosts)
    this.network = new SimNetwork(this, {
      latencyMs,
      queueMs: plan.queueMs,
      quantumBytes,
      wireFactor: wireFactor(plan.mtu),
      borderRate: plan.zones?.rate,
    })
    this.origin = new Port({ name: 'origin', upRate: plan.originRate, downRate: plan.originRate, zone: 0 })
    this.layers = Array.from({ length: plan.layers }, (_, index) => {
      const bytes = Math.floor(plan.bytes / plan.layers) + (index < plan.bytes % plan.layers ? 1 : 0)
      return new SimLayer({ index, bytes, seed, sizes })
    })
    this.hosts = this.#roles.map((role, index) => new SimHost({ world: this }, { index, role }))
    this.#byId = new Map(this.hosts.map((host) => [host.id, host]))
    this.connectedCount = Math.min(plan.hosts - 1, connections)
  }

  run(): SimOutcome {
    const begun = performance.now()
    const { plan } = this.#init
    const boundSeconds = boundOf(plan, this.#roles, plan.bytes)
    const pulling = this.hosts.filter(({ role }) => role.part !== 'seed')
    for (const host of this.hosts) {
      if (host.role.part === 'seed') {
        host.seed()
        for (const layer of this.layers) this.announced(layer, host)
      } else this.events.at(host.role.startMs, () => host.start())
    }
    this.#watchKills()
    const slowest = Math.min(plan.originRate, ...this.#roles.map(({ rate }) => rate))
    const patienceMs = plan.spreadMs + PATIENCE * ((8_000 * plan.bytes * plan.hosts) / slowest + 1_000)
    const isOver = (): boolean => pulling.every((host) => !host.isAlive || host.endedAt !== undefined)
    let checkedAt = 0
    while (this.events.step(patienceMs)) {
      if (this.events.now - checkedAt < WATCH_MS) continue
      checkedAt = this.events.now
      if (isOver()) break
    }
    return {
      boundSeconds,
      hosts: this.hosts,
      roles: this.#roles,
      imageBytes: plan.bytes,
      originBytes: this.origin.sentBytes,
      borderBytes: Math.max(
        0,
        ...Array.from({ length: (plan.zones?.count ?? 1) - 1 }, (_, at) => this.network.bordersOf(at + 1)),
      ),
      tally: this.tally,
      seconds: Math.max(0, ...pulling.map(({ endedAt }) => endedAt ?? 0)) / 1_000,
      events: this.events.count,
      wallSeconds: (performance.now() - begun) / 1_000,
      rssBytes: process.resourceUsage().maxRSS * 1024,
    }
  }

  tell(from: SimHost, to: SimHost, bytes: number, hear: () => void): void {
    if (!from.isAlive) return
    if (from === to) {
      this.events.after(0, hear)
      return
    }
    const { now } = this.events
    this.tally.message(from.index, bytes, now)
    // one stream for each pair: nothing overtakes what was said before
    const at = Math.max(now + this.network.delay(from.port, to.port), from.saidUntil.get(to) ?? 0)
    from.saidUntil.set(to, at)
    this.events.at(at, () => {
      if (!to.isAlive || !from.isAlive) return
      this.tally.message(to.index, bytes, this.events.now)
      hear()
    })
  }

  isConnected(one: SimHost, other: SimHost): boolean {
    const share = this.#init.connections / Math.max(1, this.hosts.length - 1)
    return share >= 1 || pairNumber(one.index, other.index) < share || this.#dialledBy(one).has(other)
  }

  connect(one: SimHost, other: SimHost): boolean {
    if (this.isConnected(one, other)) return true
    const isFull = (host: SimHost): boolean => this.connectedCount + this.#dialledBy(host).size >= MAX_CONNECTIONS
    if (!one.isAlive || !other.isAlive || isFull(one) || isFull(other)) return false
    this.#dialledBy(one).add(other)
    this.#dialledBy(other).add(one)
    return true
  }

  nearest(layer: SimLayer, host: SimHost, count: number): SimHost[] {
    const found: SimHost[] = []
    for (const other of this.#order(layer)) {
      if (other === host || !other.isAlive || !this.isConnected(host, other)) continue
      found.push(other)
      if (found.length === count) break
    }
    return found
  }

  nearestOf(layer: SimLayer, hosts: readonly SimHost[]): SimHost {
    this.#order(layer)
    const ranks = this.#ranks.get(layer.digest)
    const rank = (host: SimHost): number => ranks?.get(host) ?? Infinity
    return hosts.reduce((nearest, host) => (rank(host) < rank(nearest) ? host : nearest))
  }

  byId(id: string): SimHost | undefined {
    return this.#byId.get(id)
  }

  providers(layer: SimLayer): readonly SimHost[] {
    return this.#providers.get(layer) ?? []
  }

  announced(layer: SimLayer, host: SimHost): void {
    for (const peer of this.nearest(layer, host, 4)) {
      this.tell(host, peer, this.sizes.none, () => peer.desk(layer).here(host))
    }
    this.events.after(RECORD_MS, () => {
      const providers = this.#providers.get(layer) ?? []
      this.#providers.set(layer, providers)
      providers.push(host)
    })
  }

  #dialledBy(host: SimHost): Set<SimHost> {
    const known = this.#dialled.get(host)
    if (known !== undefined) return known
    const dialled = new Set<SimHost>()
    this.#dialled.set(host, dialled)
    return dialled
  }

  #order(layer: SimLayer): readonly SimHost[] {
    const known = this.#orders.get(layer.digest)
    if (known !== undefined) return known
    const order = nearestTo(layer.digest, this.#byId.keys(), this.hosts.length).flatMap(
      (id) => this.#byId.get(id) ?? [],
    )
    this.#orders.set(layer.digest, order)
    this.#ranks.set(layer.digest, new Map(order.map((host, rank) => [host, rank])))
    return order
  }

  /** Each host to be killed ends when the fleet has come so far: all at once, or with a share of 1 at random moments. */
  #watchKills(): void {
    const { kill } = this.#init.plan
    if (kill === undefined) return
    const victims = this.hosts
      .filter(({ role }) => role.part === 'killed')
      .map((host) => ({ host, share: kill.share < 1 ? kill.share : 0.05 + 0.85 * this.random() }))
    const all =
      this.hosts.filter(({ role }) => role.part !== 'seed').length *
      this.layers.reduce((sum, { plan }) => sum + plan.count, 0)
    const watch = (): void => {
      const arrived = this.hosts.reduce((sum, host) => sum + (host.role.part === 'seed' ? 0 : host.verifiedChunks), 0)
      for (const { host, share } of victims) if (host.isAlive && arrived >= share * all) this.#kill(host)
      if (victims.some(({ host }) => host.isAlive && host.endedAt === undefined)) this.events.after(WATCH_MS, watch)
    }
    watch()
  }

  #kill(host: SimHost): void {
    host.kill()
    // its connections are reset
    for (const other of this.hosts) {
      if (other !== host) this.events.after(this.latencyMs, () => other.isAlive && other.lost(host))
    }
  }
}

/** In [0, 1), the same both ways. */
function pairNumber(one: number, other: number): number {
  let value = Math.imul(Math.min(one, other) + 1, 0x9e3779b1) ^ Math.imul(Math.max(one, other) + 1, 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d)
  value = Math.imul(value ^ (value >>> 12), 0x297a2d39)
  return ((value ^ (value >>> 15)) >>> 0) / 2 ** 32
}
