/** Counts what is said. */
const STEP_MS = 1_000

interface Counted {
  messages: number
  bytes: number
  /** Messages by second. */
  readonly steps: number[]
}

export class SimTally {
  readonly #hosts: Counted[]
  readonly #leases = new Map<number, number[]>()
  /** Calls of the policy, and how long they took in all on this machine. */
  calls = 0
  callMs = 0

  constructor(hosts: number) {
    this.#hosts = Array.from({ length: hosts }, () => ({ messages: 0, bytes: 0, steps: [] }))
  }

  /** Sent or received. */
  message(host: number, bytes: number, now: number): void {
    const counted = this.#hosts[host] as Counted
    counted.messages += 1
    counted.bytes += bytes
    const step = Math.floor(now / STEP_MS)
    counted.steps[step] = (counted.steps[step] ?? 0) + 1
  }

  /** Asks and answers at the one who grants. */
  lease(coordinator: number, now: number): void {
    const steps = this.#leases.get(coordinator) ?? []
    this.#leases.set(coordinator, steps)
    const step = Math.floor(now / STEP_MS)
    steps[step] = (steps[step] ?? 0) + 1
  }

  /** Of the host with most. */
  get controlBytes(): number {
    return this.#hosts.reduce((most, { bytes }) => Math.max(most, bytes), 0)
  }

  get controlBytesMean(): number {
    return this.#hosts.reduce((sum, { bytes }) => sum + bytes, 0) / this.#hosts.length
  }

  /** Per host and second: on average while it lasted, and the most that one had in a second. */
  messageRates(seconds: number): { readonly mean: number; readonly peak: number } {
    return ratesOf(
      this.#hosts.map(({ steps }) => steps),
      seconds,
    )
  }

  /** The same for those who grant leases. */
  leaseRates(seconds: number): { readonly mean: number; readonly peak: number; readonly coordinators: number } {
    return { ...ratesOf([...this.#leases.values()], seconds), coordinators: this.#leases.size }
  }
}

function ratesOf(hosts: readonly (readonly number[])[], seconds: number): { mean: number; peak: number } {
  let all = 0
  let peak = 0
  for (const steps of hosts) {
    for (const count of steps) {
      all += count ?? 0
      peak = Math.max(peak, count ?? 0)
    }
  }
  return { mean: all / Math.max(1, hosts.length) / Math.max(1, seconds), peak }
}
