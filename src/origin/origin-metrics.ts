import type { Asked } from './status-failure.ts'

/** What the client of the registries reports; `telemetry/metrics` counts it. */
export interface OriginMetrics {
  /**
   * A request has an answer, after redirects, or will have none. `left`: nobody waited for it any more.
   * @param outcome the status, or why there is none
   */
  answered(asked: 'manifest' | 'blob' | 'list' | 'token', outcome: number | 'failed' | 'left', seconds: number): void
}

export const noOriginMetrics: OriginMetrics = { answered: () => {} }

/** Counts one request, whatever becomes of it. */
export async function counted<T extends { readonly status: number }>(
  metrics: OriginMetrics,
  asked: Asked | 'token',
  signal: AbortSignal,
  request: () => Promise<T>,
): Promise<T> {
  const begun = performance.now()
  const kind = asked === 'name' ? 'list' : asked
  try {
    const answer = await request()
    metrics.answered(kind, answer.status, (performance.now() - begun) / 1_000)
    return answer
  } catch (error) {
    metrics.answered(kind, signal.aborted ? 'left' : 'failed', (performance.now() - begun) / 1_000)
    throw error
  }
}
