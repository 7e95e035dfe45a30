import { type Check, type CheckResult, ok, warn } from './check.ts'
import type { RegistryProbe } from './registry-probe.ts'

/** The registry that most images come from answers this host. */
export function registryCheck({ registry }: { readonly registry: RegistryProbe }): Check {
  return {
    name: 'registry',
    run: async (options): Promise<CheckResult> => {
      const { name } = registry
      const answer = await registry.ask(options)
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
