/** What a new configuration changes in an agent that runs: at once, or only after a restart. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { Config } from './config.ts'
import { Secret } from './util/secret.ts'

/** Keys whose components take a new value while they are in use. */
const LIVE: ReadonlySet<string> = new Set([
  'facade.firstByte',
  'facade.drain',
  'store.quota',
  'origin.default',
  'origin.allow',
  'origin.rate',
  'origin.rememberAccess',
  'origin.serveStale',
  'origin.patience',
  'origin.registries',
  'swarm.bootstrap',
  'swarm.uploadRate',
  'swarm.downloadRate',
  'swarm.headStart',
  'swarm.holdBack',
  'log.level',
  'log.sample',
])

/** Live between one secret and another: whether there is a swarm at all is decided at the start. */
const SECRETS: ReadonlySet<string> = new Set(['swarm.secret', 'swarm.secretFile', 'swarm.previousSecretFile'])

/**
 * Whether an agent that runs takes the key over: `another`, one secret for another, but neither the first nor none.
 * @param key such as `store.quota`
 */
export function takenOver(key: string): 'always' | 'another' | 'never' {
  if (SECRETS.has(key)) return 'another'
  return LIVE.has(key) ? 'always' : 'never'
}

export interface ConfigChanges {
  /** Names of keys, such as `store.quota`. */
  readonly applied: readonly string[]
  readonly needRestart: readonly string[]
  /** Whether the secret is among them: the first one, or none where there was one. */
  readonly secretNeedsRestart: boolean
  /** The configuration that is in force with what can be applied. */
  readonly effective: Config
}

type Sections = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export function mergeConfig(inForce: Config, next: Config): ConfigChanges {
  const [before, after] = [inForce, next] as unknown as [Sections, Sections]
  const keepsSecret = hasSecret(inForce) && hasSecret(next)
  const applied: string[] = []
  const needRestart: string[] = []
  const effective: Record<string, Record<string, unknown>> = {}
  for (const section of Object.keys(before)) {
    const [old, fresh] = [before[section] ?? {}, after[section] ?? {}]
    const merged: Record<string, unknown> = { ...old }
    for (const key of new Set([...Object.keys(old), ...Object.keys(fresh)])) {
      const name = `${section}.${key}`
      if (isSame(old[key], fresh[key])) continue
      if (LIVE.has(name) || (SECRETS.has(name) && keepsSecret)) {
        applied.push(name)
        merged[key] = fresh[key]
      } else needRestart.push(name)
    }
    effective[section] = merged
  }
  const secretNeedsRestart = needRestart.some((name) => SECRETS.has(name))
  return { applied, needRestart, secretNeedsRestart, effective: effective as unknown as Config }
}

function hasSecret({ swarm }: Config): boolean {
  return swarm.secret !== undefined || swarm.secretFile !== undefined
}

/** Two secrets look the same from outside. */
function isSame(a: unknown, b: unknown): boolean {
  if (a instanceof Secret && b instanceof Secret) return a.reveal() === b.reveal()
  return isDeepStrictEqual(a, b)
}
