import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Child } from '../../test/fixtures/child.ts'
import { REPOSITORY, TAG } from './fleet-registry.ts'
import type { FleetSystem } from './fleet-system.ts'
import type { HostRole } from './host-roles.ts'
import { startInside } from './namespaces.ts'
import type { HostOutcome } from './run-figures.ts'
import type { PullOrder, TimedPull } from './timed-pull.ts'

const CLIENT = fileURLToPath(new URL('./pull-client.ts', import.meta.url))
/** As docker has them. */
const LAYERS_AT_ONCE = 3
const STALL_MS = 60_000
/** For clients to load their code before they are to start; they share the machine's cores. */
const LOAD_MS = 1_500
const LOAD_EACH_MS = 150

/** A client process on each host that is to pull. */
export class HostClients {
  readonly #system: FleetSystem
  readonly #running = new Map<string, Child>()

  constructor(components: { system: FleetSystem }) {
    this.#system = components.system
  }

  /**
   * All start at the same moment, each as much later as its role says.
   * @param patienceMs after which those that are left are ended
   * @param onStart called at that moment
   */
  async pull(roles: readonly HostRole[], patienceMs: number, onStart = (): void => {}): Promise<HostOutcome[]> {
    const startAt = Date.now() + LOAD_MS + LOAD_EACH_MS * roles.length
    const end = new AbortController()
    const giveUp = this.#giveUp(startAt - Date.now() + patienceMs, end.signal)
    const starting = setTimeout(onStart, startAt - Date.now())
    const outcomes = await Promise.all(
      roles.map(async (role) => {
        const plannedStart = startAt + role.startMs
        return { role, plannedStart, pull: await this.#run(role, plannedStart) }
      }),
    )
    clearTimeout(starting)
    end.abort()
    await giveUp
    return outcomes
  }

  async kill(host: string): Promise<void> {
    await this.#running.get(host)?.stop('SIGKILL')
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((host) => this.kill(host)))
  }

  async #run({ name }: HostRole, startAt: number): Promise<TimedPull | undefined> {
    const order: PullOrder = {
      from: this.#system.facade(name),
      repository: REPOSITORY,
      tag: TAG,
      layersAtOnce: LAYERS_AT_ONCE,
      stallMs: STALL_MS,
    }
    const client = startInside(name, process.execPath, [CLIENT, JSON.stringify({ ...order, startAt })])
    this.#running.set(name, client)
    await client.exited
    this.#running.delete(name)
    const line = client.output.split('\n').find((text) => text.startsWith('{'))
    return line === undefined ? undefined : (JSON.parse(line) as TimedPull)
  }

  async #giveUp(afterMs: number, signal: AbortSignal): Promise<void> {
    try {
      await pause(afterMs, undefined, { signal })
    } catch {
      return
    }
    await this.stop()
  }
}
