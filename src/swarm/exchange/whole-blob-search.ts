import type { Abortable, BlobSwarm, SwarmEvents } from '../../blob/ports.ts'
import { linkSignals } from '../../util/signals.ts'
import { hasAllChunks } from './small-blob-fetcher.ts'

/** How long it looks at most, in milliseconds. */
const SEARCH_MS = 5_000

const ignore = (): void => {}

/** Whether some peer has all of a blob now. @param join takes part in the blob's swarm */
export async function isSomewhere(join: (events: SwarmEvents) => BlobSwarm, { signal }: Abortable): Promise<boolean> {
  if (signal.aborted) return false
  using linked = linkSignals([signal], SEARCH_MS)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  linked.signal.addEventListener('abort', () => resolve(false), { once: true })
  const found: SwarmEvents['found'] = (peer) => {
    if (hasAllChunks(peer)) resolve(true)
  }
  const searched = (): void => resolve(false)
  const membership = join({
    found,
    gained: found,
    left: ignore,
    stated: ignore,
    banned: ignore,
    leased: ignore,
    searched,
  })
  try {
    return await promise
  } finally {
    membership.leave()
  }
}
