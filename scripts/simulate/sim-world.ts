/** What the parts of a simulated agent need of the rest. */
import type { EventQueue } from './event-queue.ts'
import type { MessageSizes } from './message-sizes.ts'
import type { SimHost } from './sim-host.ts'
import type { SimLayer } from './sim-layer.ts'
import type { Port, SimNetwork } from './sim-network.ts'
import type { SimTally } from './sim-tally.ts'

export interface SimWorld {
  readonly events: EventQueue
  readonly network: SimNetwork
  readonly origin: Port
  readonly sizes: MessageSizes
  readonly tally: SimTally
  readonly layers: readonly SimLayer[]
  readonly hosts: readonly SimHost[]
  readonly latencyMs: number
  /** What peers tell is looked at in steps of so much; 0: at once, as agents do. */
  readonly thinkMs: number
  /** In [0, 1). */
  random(): number
  /** A message to another agent; it is lost if one of them is dead by then. */
  tell(from: SimHost, to: SimHost, bytes: number, hear: () => void): void
  /** Other agents that this one is connected with, those nearest to the layer's digest first. */
  nearest(layer: SimLayer, host: SimHost, count: number): SimHost[]
  isConnected(one: SimHost, other: SimHost): boolean
  /** @returns whether they are connected then: neither has more than it may */
  connect(one: SimHost, other: SimHost): boolean
  readonly connectedCount: number
  /** Of at least one. */
  nearestOf(layer: SimLayer, hosts: readonly SimHost[]): SimHost
  byId(id: string): SimHost | undefined
  /** Some that said that they have chunks of it, as the DHT knows them. */
  providers(layer: SimLayer): readonly SimHost[]
  announced(layer: SimLayer, host: SimHost): void
}
