/**
 * Puts a new configuration into an agent that runs. Everything that may fail is read before anything is changed: either all
 * of what can be applied is, or nothing. One at a time. Created by `agent.ts`, asked by `main.ts`.
 */
import { isDeepStrictEqual } from 'node:util'
import { originSettings, readSwarmKeys } from './agent-settings.ts'
import type { Config } from './config.ts'
import { mergeConfig } from './config-reload.ts'
import type { LiveConfig } from './live-config.ts'
import type { OriginSettings } from './origin/origin-client.ts'
import type { RootLogger } from './telemetry/logger.ts'

export interface AgentReloadComponents {
  readonly live: LiveConfig
  readonly log: RootLogger
  readonly metrics: { reloaded(outcome: 'applied' | 'refused'): void }
  readonly store: { setQuota(bytes: number): Promise<void> }
  readonly origin: { configure(settings: OriginSettings): void }
  /** Undefined when the agent takes part in no swarm. */
  readonly swarm: { configure(settings: SwarmSettings): void } | undefined
}

/** What may change while the agent takes part in its swarm. */
export interface SwarmSettings {
  readonly keys: readonly Uint8Array[]
  readonly bootstrap: readonly string[]
  readonly uploadRate: number | undefined
  readonly downloadRate: number | undefined
}

export class AgentReload {
  readonly #components: AgentReloadComponents
  #keys: readonly Uint8Array[]
  #running: Promise<void> | undefined
  /** Of a reload that waits for the one that runs. */
  #next: (() => Config) | undefined

  /** @param init.keys of the secrets in force */
  constructor(components: AgentReloadComponents, init: { readonly keys: readonly Uint8Array[] }) {
    this.#components = components
    this.#keys = init.keys
  }

  /**
   * Resolves when it is done; what came of it stands in the log.
   * @param load reads the new configuration; what it throws leaves the old one in force
   */
  reload(load: () => Config): Promise<void> {
    this.#next = load
    this.#running ??= this.#run()
    return this.#running
  }

  /** However often it is asked for meanwhile, once more is enough: files are read when it begins. */
  async #run(): Promise<void> {
    for (let load = this.#next; load !== undefined; load = this.#next) {
      this.#next = undefined
      await this.#reload(load)
    }
    this.#running = undefined
  }

  async #reload(load: () => Config): Promise<void> {
    const { log, metrics } = this.#components
    try {
      await this.#apply(load())
      metrics.reloaded('applied')
    } catch (error) {
      log.error({ err: error }, 'the new configuration is refused: the old one stays')
      metrics.reloaded('refused')
    }
  }

  async #apply(next: Config): Promise<void> {
    const { live, log, store, origin, swarm } = this.#components
    const { applied, needRestart, secretNeedsRestart, effective } = mergeConfig(live.config, next)
    // The files that it names may hold something else, also when it is the same itself.
    const keys = effective.swarm.enabled ? await readSwarmKeys(effective.swarm) : []
    const settings = originSettings(effective, keys[0])
    const secret = secretNeedsRestart ? 'needs restart' : secretState(this.#keys, keys)

    live.replace(effective)
    this.#keys = keys
    log.configure(effective.log)
    origin.configure(settings)
    swarm?.configure({ ...effective.swarm, keys })
    const fields = { applied, needRestart, secret }
    if (needRestart.length > 0) log.warn(fields, 'configuration read again: some of it needs a restart')
    else log.info(fields, 'configuration read again')
    if (applied.includes('store.quota')) await this.#setQuota(store, effective.store.quota)
  }

  async #setQuota(store: AgentReloadComponents['store'], bytes: number): Promise<void> {
    try {
      await store.setQuota(bytes)
    } catch (error) {
      this.#components.log.warn({ err: error }, 'what is above the new quota could not be removed')
    }
  }
}

type Keys = readonly Uint8Array[]

/** Of what is in force. */
function secretState(before: Keys, after: Keys): 'none' | 'same' | 'changed' {
  if (!isDeepStrictEqual(before, after)) return 'changed'
  return after.length === 0 ? 'none' : 'same'
}
