/** What the agent tells of itself for a support bundle. */
import type { SupportAnswer, SupportSource } from './facade/support-api.ts'
import type { LiveConfig } from './live-config.ts'
import type { RootLogger } from './telemetry/logger.ts'
import { mapTexts, withoutCredentials } from './util/scrub.ts'

/** Sections of Node's report that hold neither the environment nor the command line. */
const SECTIONS = ['javascriptHeap', 'resourceUsage', 'uvthreadResourceUsage', 'libuv', 'userLimits'] as const
const HEADER = ['nodejsVersion', 'arch', 'platform', 'componentVersions', 'osName', 'osRelease', 'osVersion'] as const

export class AgentSupport implements SupportSource {
  readonly #components: { readonly live: LiveConfig; readonly log: Pick<RootLogger, 'recent'> }

  constructor(components: { readonly live: LiveConfig; readonly log: Pick<RootLogger, 'recent'> }) {
    this.#components = components
  }

  gather(): SupportAnswer {
    const { live, log } = this.#components
    const config: unknown = JSON.parse(JSON.stringify(live.config))
    return {
      config: mapTexts(config, withoutCredentials),
      log: log.recent().map(withoutCredentials),
      process: { ...report(), activeResources: countsOf(process.getActiveResourcesInfo()) },
    }
  }
}

function report(): object {
  const settings: { excludeNetwork?: boolean; excludeEnv?: boolean } = process.report
  const { excludeEnv = false, excludeNetwork = false } = settings
  // It would look up names of everybody who is connected.
  settings.excludeNetwork = true
  settings.excludeEnv = true
  try {
    const full = process.report.getReport() as Record<string, unknown> & { header?: Record<string, unknown> }
    const { header = {} } = full
    return { ...pick(header, HEADER), ...pick(full, SECTIONS) }
  } finally {
    settings.excludeEnv = excludeEnv
    settings.excludeNetwork = excludeNetwork
  }
}

function pick(from: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, from[key]]))
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
