import type { Config } from '../config.ts'
import { readSecret } from '../config-swarm.ts'
import { type Check, type CheckResult, fail, ok, warn } from './check.ts'
import { isOpenToAll } from './open-file.ts'

/** What the configuration is, or why there is none. */
export type LoadedConfig = { readonly config: Config } | { readonly error: Error }

/** The configuration can be read, and the secret that it names; that by nobody who should not. */
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
      const { secretFile, previousSecretFile } = loaded.config.swarm
      for (const file of [secretFile, previousSecretFile]) {
        if (file === undefined || !(await isOpenToAll(file).catch(() => false))) continue
        return warn(
          `every user of this host can get at the secret in ${file}`,
          `\`chmod 600 ${file}\`; make a new one if somebody may have`,
        )
      }
      return ok('can be read')
    },
  }
}
