import type { ProcessUsage } from './process-usage.ts'

/** What stands between the clients and the origin. */
export interface FleetSystem {
  /** `http://host:port` that the client on this host asks. */
  facade(host: string): string
  /** Of every process that belongs to it; of killed ones, what they had used by then. */
  usages(): readonly ProcessUsage[]
  /** Programs that ended without being told to, with the last they said. */
  failures(): readonly string[]
  /** Resolves when it is as it would be on a fleet that has been up for long. @returns what is not as it should be */
  settled(): Promise<string | undefined>
  /** Resolves when nothing goes on in it for this host. */
  idle(host: string): Promise<void>
  /** Ends what runs on this host, as a power cut would. */
  kill(host: string): Promise<void>
  stop(): Promise<void>
}

/** Clients ask the registry itself. */
export class DirectSystem implements FleetSystem {
  readonly #origin: string

  constructor(init: { origin: string }) {
    this.#origin = init.origin
  }

  facade(): string {
    return this.#origin
  }

  usages(): readonly ProcessUsage[] {
    return []
  }

  failures(): readonly string[] {
    return []
  }

  async settled(): Promise<undefined> {}

  async idle(): Promise<void> {}

  async kill(): Promise<void> {}

  async stop(): Promise<void> {}
}
