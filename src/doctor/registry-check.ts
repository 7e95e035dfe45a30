import { type Check, type CheckResult, ok, warn } from './check.ts'
import type { RegistryAnswer, RegistryProbe } from './registry-probe.ts'

interface RegistryCheckComponents {
  readonly registry: RegistryProbe
  /** `origin.registries.HOST.mirrors`: asked before the registry itself. */
  readonly mirrors?: readonly RegistryProbe[]
}

/** The registry that most images come from answers this host, or a mirror of it. */
export function registryCheck({ registry, mirrors = [] }: RegistryCheckComponents): Check {
  return {
    name: 'registry',
    run: async (options): Promise<CheckResult> => {
      const { name } = registry
      const [answer, ...others] = await Promise.all([registry, ...mirrors].map((one) => one.ask(options)))
      if (answer === undefined) throw new Error('nothing was asked')
      const isAway = 'error' in answer || answer.status >= 500
      const mirror = mirrors.find((_, index) => answers(others[index]))
      if (isAway && mirror !== undefined)
        return ok(`${mirror.name} answers, a mirror of ${name}; ${name} itself does not`)
      if ('error' in answer) {
        return warn(
          `${name} does not answer: ${answer.error}`,
          'what is in the fleet can still be pulled; check the network, DNS and the proxy',
        )
      }
      if (answer.status >= 500) return warn(`${name} answers with ${answer.status}`, 'it has a problem of its own')
      return ok(`${name} answers`)
    },
  }
}

function answers(answer: RegistryAnswer | undefined): boolean {
  return answer !== undefined && !('error' in answer) && answer.status < 500
}
