/**
 * Links as queues. A flow is the body of one answer; it travels in quanta. A sender's uplink gives a quantum to each of its flows in turn (round robin), as long as the flow has
 * fewer than its window under way; the receiver's downlink, and a border between zones, take them first come, first served. So an uplink that one
 * receiver can't keep up with is used for the others, no link is idle while a flow could use it, and flows that share a narrow place get equal parts of it: close
 * to max-min fairness.
 *
 * What it leaves out: slow start and loss of TCP, and the way of acknowledgements (1.1–2.2 % of the other direction). Its own error is a quantum on each link for each
 * flow; the test compares it with the exact shares.
 */
import type { EventQueue } from './event-queue.ts'

export interface Station {
  readonly name: string
  /** Bits per second. */
  readonly upRate: number
  readonly downRate: number
  readonly zone: number
}

export interface NetworkInit {
  readonly latencyMs: number
  /** What waits in front of a link, at most; what is said meanwhile waits behind it. */
  readonly queueMs: number
  readonly quantumBytes: number
  /** Bytes on the wire for each byte of content. */
  readonly wireFactor: number
  /** Bits per second into each zone but the first. */
  readonly borderRate?: number | undefined
}

export interface FlowEvents {
  arrived(bytes: number): void
  /** All bytes have arrived. */
  ended(): void
}

export class Flow {
  readonly from: Port
  readonly to: Port
  readonly events: FlowEvents
  /** Not sent yet. */
  left: number
  underWay = 0
  isQueued = false
  isCancelled = false

  constructor(from: Port, to: Port, bytes: number, events: FlowEvents) {
    this.from = from
    this.to = to
    this.left = bytes
    this.events = events
  }
}

/** One station's two links. */
export class Port {
  readonly station: Station
  /** Bytes per millisecond. */
  readonly up: number
  readonly down: number
  /** Flows that may send a quantum, the next one first. */
  ready: Flow[] = []
  isSending = false
  /** When what is on its way to it has passed its downlink. */
  downFreeAt = 0
  /** Of content. */
  sentBytes = 0
  receivedBytes = 0

  constructor(station: Station) {
    this.station = station
    this.up = station.upRate / 8_000
    this.down = station.downRate / 8_000
  }
}

/** Below this a flow waits for its own echo. */
const MIN_WINDOW = 4

export class SimNetwork {
  readonly #events: EventQueue
  readonly #init: NetworkInit
  readonly #borderFreeAt = new Map<number, number>()
  readonly #borderBytes = new Map<number, number>()

  constructor(components: { readonly events: EventQueue }, init: NetworkInit) {
    this.#events = components.events
    this.#init = init
  }

  /** Bytes of content that came into the zone from others. */
  bordersOf(zone: number): number {
    return this.#borderBytes.get(zone) ?? 0
  }

  start(from: Port, to: Port, bytes: number, events: FlowEvents): Flow {
    const flow = new Flow(from, to, bytes, events)
    if (bytes === 0) this.#events.after(this.#init.latencyMs, () => flow.isCancelled || events.ended())
    else this.#enqueue(flow)
    return flow
  }

  /** What is under way still takes its time on the links. */
  cancel(flow: Flow): void {
    flow.isCancelled = true
    flow.left = 0
  }

  /** Milliseconds that a small message takes, behind the bytes that wait for the same links. */
  delay(from: Port, to: Port): number {
    const { latencyMs, queueMs, quantumBytes, wireFactor } = this.#init
    const waitingUp = (from.ready.length * quantumBytes * wireFactor) / from.up
    const waitingDown = Math.max(0, to.downFreeAt - this.#events.now)
    return latencyMs + Math.min(queueMs, waitingUp) + Math.min(queueMs, waitingDown)
  }

  #enqueue(flow: Flow): void {
    if (flow.isQueued) return
    flow.isQueued = true
    flow.from.ready.push(flow)
    if (!flow.from.isSending) this.#send(flow.from)
  }

  #send(port: Port): void {
    const flow = nextOf(port)
    if (flow === undefined) return
    const { quantumBytes, wireFactor, latencyMs } = this.#init
    const bytes = Math.min(quantumBytes, flow.left)
    flow.left -= bytes
    flow.underWay += 1
    flow.isQueued = false
    if (flow.left > 0 && flow.underWay < this.#windowOf(flow)) {
      flow.isQueued = true
      port.ready.push(flow)
    }
    port.isSending = true
    const wire = bytes * wireFactor
    this.#events.after(wire / port.up, () => {
      port.isSending = false
      port.sentBytes += bytes
      this.#cross(flow, { wire, bytes, at: this.#events.now + latencyMs })
      this.#send(port)
    })
  }

  #cross(flow: Flow, quantum: { readonly wire: number; readonly bytes: number; readonly at: number }): void {
    const { borderRate } = this.#init
    const { wire, bytes, at } = quantum
    const { zone } = flow.to.station
    if (flow.from.station.zone !== zone) this.#borderBytes.set(zone, this.bordersOf(zone) + bytes)
    if (flow.from.station.zone === zone || zone === 0 || borderRate === undefined) {
      this.#reach(flow, quantum)
      return
    }
    const passed = Math.max(at, this.#borderFreeAt.get(zone) ?? 0) + wire / (borderRate / 8_000)
    this.#borderFreeAt.set(zone, passed)
    // what does not cross the border must not wait behind what does
    this.#events.at(passed, () => this.#reach(flow, { wire, bytes, at: passed }))
  }

  #reach(
    flow: Flow,
    { wire, bytes, at }: { readonly wire: number; readonly bytes: number; readonly at: number },
  ): void {
    const { to } = flow
    to.downFreeAt = Math.max(to.downFreeAt, at) + wire / to.down
    this.#events.at(to.downFreeAt, () => this.#deliver(flow, bytes))
  }

  #deliver(flow: Flow, bytes: number): void {
    flow.underWay -= 1
    flow.to.receivedBytes += bytes
    if (flow.isCancelled) return
    if (flow.left > 0) this.#enqueue(flow)
    flow.events.arrived(bytes)
    if (!flow.isCancelled && flow.left === 0 && flow.underWay === 0) flow.events.ended()
  }

  /** So much has to be under way for a flow to fill the slower of its links alone. */
  #windowOf({ from, to }: Flow): number {
    const { latencyMs, quantumBytes } = this.#init
    return MIN_WINDOW + Math.ceil((2 * latencyMs * Math.min(from.up, to.down)) / quantumBytes)
  }
}

function nextOf(port: Port): Flow | undefined {
  for (let flow = port.ready.shift(); flow !== undefined; flow = port.ready.shift()) {
    if (!flow.isCancelled) return flow
    flow.isQueued = false
  }
  return undefined
}
