import type { Mirror } from './setup-types.ts'

const ANSWERS_MS = 2_000

/**
 * Whether an agent, or what else is a registry, answers where the client is told to ask. Only of this host: what listens on another one can't be seen from here.
 * @returns what is wrong, undefined when nothing is
 */
export async function agentProblem({ url }: Mirror, init: { readonly root: string }): Promise<string | undefined> {
  if (init.root !== '/') return undefined
  try {
    const { body, status, headers } = await fetch(`${url}/v2/`, { signal: AbortSignal.timeout(ANSWERS_MS) })
    await body?.cancel()
    const isRegistry = headers.has('docker-distribution-api-version')
    if (status === 200 && isRegistry) return undefined
    if (status === 403) {
      const { hostname } = new URL(url)
      return warning(`${url} refuses clients (403): if an agent is there, add ${hostname} to its \`facade.hosts\``)
    }
    return warning(
      isRegistry ? `the agent at ${url} is not ready (${status})` : `what answers at ${url} is no agent (${status})`,
    )
  } catch (error) {
    return warning(`no agent answers at ${url} (${reasonOf(error)})`)
  }
}

function warning(problem: string): string {
  return `Warning: ${problem}. Until one answers there, all comes from the registries. See \`shoal doctor\`.`
}

function reasonOf(error: unknown): string {
  const { cause, name } = error as { cause?: { code?: string }; name?: string }
  if (name === 'TimeoutError') return `nothing within ${ANSWERS_MS / 1_000} s`
  return cause?.code ?? (error instanceof Error ? error.message : String(error))
}
