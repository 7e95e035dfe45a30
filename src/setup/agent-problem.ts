import type { Mirror } from './setup-types.ts'

const ANSWERS_MS = 2_000

/**
 * Whether something answers where the client is told to ask. Only of this host: what listens on another one can't be seen from here.
 * @returns what is wrong, undefined when nothing is
 */
export async function agentProblem({ url }: Mirror, init: { readonly root: string }): Promise<string | undefined> {
  if (init.root !== '/') return undefined
  try {
    const { body } = await fetch(`${url}/v2/`, { signal: AbortSignal.timeout(ANSWERS_MS) })
    await body?.cancel()
    return undefined
  } catch (error) {
    return `Warning: no agent answers at ${url} (${reasonOf(error)}): until one does, all comes from the registries. See \`shoal doctor\`.`
  }
}

function reasonOf(error: unknown): string {
  const { cause, name } = error as { cause?: { code?: string }; name?: string }
  if (name === 'TimeoutError') return `nothing within ${ANSWERS_MS / 1_000} s`
  return cause?.code ?? (error instanceof Error ? error.message : String(error))
}
