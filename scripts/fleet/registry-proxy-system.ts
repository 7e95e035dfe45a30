import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Child } from '../../test/fixtures/child.ts'
import type { FleetNetwork } from './fleet-network.ts'
import { REGISTRY_PORT, startRegistry } from './fleet-registry.ts'
import type { FleetSystem } from './fleet-system.ts'
import { type ProcessUsage, readUsage } from './process-usage.ts'

/** Of the namespace in which it runs, with a host's link. */
export const PROXY = 'proxy'

/** One registry as a pull-through cache for all hosts. */
export class RegistryProxySystem implements FleetSystem {
  readonly #child: Child
  readonly #url: string

  private constructor(child: Child, url: string) {
    this.#child = child
    this.#url = url
  }

  static async start(init: { network: FleetNetwork; origin: string; dir: string }): Promise<RegistryProxySystem> {
    const dir = join(init.dir, PROXY)
    await mkdir(dir)
    const listen = `${init.network.address(PROXY)}:${REGISTRY_PORT}`
    const { child } = await startRegistry({ dir, listen, upstream: init.origin, namespace: PROXY })
    return new RegistryProxySystem(child, `http://${listen}`)
  }

  facade(): string {
    return this.#url
  }

  usages(): readonly ProcessUsage[] {
    const usage = readUsage(this.#child.pid ?? 0)
    return usage === undefined ? [] : [usage]
  }

  failures(): readonly string[] {
    return []
  }

  async settled(): Promise<undefined> {}

  async idle(): Promise<void> {}

  async kill(): Promise<void> {}

  async stop(): Promise<void> {
    await this.#child.stop('SIGKILL')
  }
}
