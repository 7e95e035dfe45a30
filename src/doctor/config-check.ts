import type { Config } from '../config.ts'
import { readSecret } from '../config-swarm.ts'
import { type Check, type CheckResult, fail, ok, warn } from './check.ts'

/** What the configuration is, or why there is none. */
export type LoadedConfig = { readonly config: Config } | { readonly error: Error }

/** The configuration can be read, and the secret that it names. */
export function configCheck({ loaded }: { readonly loaded: LoadedConfig }): Check {
  return {
    name: 'configuration',
    run: async (): Promise<CheckResult> => {
      if ('error' in loaded) return fail(loaded.error.message, 'correct it, then restart the agent')
      try {
        readSecret(loaded.config.swarm)
      } catch (error) {
        const { cause, message } = error as Error
        if ((cause as NodeJS.ErrnoException | undefined)?.code === 'EACCES') {
          return warn('the file of the secret may not be read by this user', 'run as root to see all of it')
        }
        return fail(message, 'correct it, then restart the agent')
      }
      return ok('can be read')
    },
  }
}
