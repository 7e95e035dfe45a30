import type { FleetNetwork, LinkTraffic } from './fleet-network.ts'
import type { FleetSystem } from './fleet-system.ts'
import type { HostRole } from './host-roles.ts'
import { ORIGIN } from './incidents.ts'
import { type MachineTime, readMachineTime } from './process-usage.ts'
import type { RunObservation } from './run-figures.ts'

type Metered = Pick<
  RunObservation,
  | 'originSent'
  | 'originSentOnWire'
  | 'hostsReceived'
  | 'borders'
  | 'controlBytes'
  | 'cpuSeconds'
  | 'peakMemory'
  | 'machineShare'
>

interface Reading {
  readonly traffic: ReadonlyMap<string, LinkTraffic>
  readonly onWire: number
  readonly control: readonly number[]
}

interface Processing {
  readonly cpuSeconds: number
  readonly machine: MachineTime
}

/** Reads all counters twice, before and after the load. */
export class Meter {
  readonly #network: FleetNetwork
  readonly #system: FleetSystem
  readonly #roles: readonly HostRole[]
  #before: Reading | undefined
  #processingBefore: Processing | undefined

  constructor(components: { network: FleetNetwork; system: FleetSystem; roles: readonly HostRole[] }) {
    this.#network = components.network
    this.#system = components.system
    this.#roles = components.roles
  }

  /** Links count from now on. It takes a while. */
  async start(): Promise<void> {
    this.#before = await this.#read()
  }

  /** CPU time counts from now on. At once. */
  startProcessing(): void {
    this.#processingBefore = this.#readProcessing()
  }

  async read(): Promise<Metered> {
    const [before, busyBefore] = [this.#before, this.#processingBefore]
    if (before === undefined || busyBefore === undefined) throw new Error('the meter was not started')
    const busy = this.#readProcessing()
    const after = await this.#read()
    const received = (name: string): number =>
      (after.traffic.get(name)?.received ?? 0) - (before.traffic.get(name)?.received ?? 0)
    const sent = (after.traffic.get(ORIGIN)?.sent ?? 0) - (before.traffic.get(ORIGIN)?.sent ?? 0)
    const pulling = this.#roles.filter(({ part }) => part !== 'seed')
    const machine = busy.machine.all - busyBefore.machine.all
    return {
      originSent: sent,
      originSentOnWire: after.onWire - before.onWire,
      hostsReceived: pulling.reduce((sum, { name }) => sum + received(name), 0),
      borders: [...after.traffic.keys()].filter((name) => /^in\d+$/.test(name)).map(received),
      controlBytes: after.control.map((bytes, index) => bytes - (before.control[index] ?? 0)),
      cpuSeconds: busy.cpuSeconds - busyBefore.cpuSeconds,
      peakMemory: this.#system.usages().map(({ peakMemory }) => peakMemory),
      machineShare: machine === 0 ? 0 : (busy.machine.busy - busyBefore.machine.busy) / machine,
    }
  }

  async #read(): Promise<Reading> {
    const lasting = this.#roles.filter(({ part }) => part !== 'killed')
    const [traffic, onWire, control] = await Promise.all([
      this.#network.traffic(),
      this.#network.wireBytesSent(ORIGIN),
      Promise.all(lasting.map(({ name }) => this.#network.controlBytes(name))),
    ])
    return { traffic, onWire, control }
  }

  #readProcessing(): Processing {
    const cpuSeconds = this.#system.usages().reduce((sum, usage) => sum + usage.cpuSeconds, 0)
    return { cpuSeconds, machine: readMachineTime() }
  }
}
