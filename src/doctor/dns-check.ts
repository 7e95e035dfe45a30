import { isName, parseBootstrapEntry } from './bootstrap-entry.ts'
import { type Check, type CheckResult, fail, ok, skip, warn } from './check.ts'
import type { HostView } from './host-view.ts'

/** The names in `swarm.bootstrap` stand for addresses. */
export function dnsCheck(
  { host }: { readonly host: Pick<HostView, 'resolve'> },
  init: { readonly enabled: boolean; readonly bootstrap: readonly string[] },
): Check {
  return {
    name: 'bootstrap names',
    run: async (options): Promise<CheckResult> => {
      const names = [...new Set(init.bootstrap.flatMap((entry) => parseBootstrapEntry(entry) ?? []).filter(isName))]
      if (!init.enabled || names.length === 0) return skip('none are used')
      const found = await Promise.all(
        names.map(async ({ host: name }) => ({ name, count: await countOf(host, name, options) })),
      )
      const lost = found.filter(({ count }) => count === 0).map(({ name }) => name)
      const addresses = found.reduce((sum, { count }) => sum + count, 0)
      const advice = 'check the names in swarm.bootstrap, and /etc/resolv.conf'
      if (lost.length === found.length) return fail(`${lost.join(', ')} resolves to nothing`, advice)
      if (lost.length > 0) return warn(`${lost.join(', ')} resolves to nothing, the others do`, advice)
      return ok(`${names.length} names, ${addresses} addresses`)
    },
  }
}

async function countOf(
  host: Pick<HostView, 'resolve'>,
  name: string,
  options: { signal: AbortSignal },
): Promise<number> {
  try {
    return (await host.resolve(name, options)).length
  } catch {
    return 0
  }
}
