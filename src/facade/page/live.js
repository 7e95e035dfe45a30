/** @import { PageMessage } from '../page-data.ts' */

/** Longer than the agent is silent for. */
const SILENCE_MS = 40_000
const RETRY_MS = 3_000

/**
 * Keeps a stream of events open, for ever.
 * @param {object} on
 * @param {(message: PageMessage, isWhole: boolean) => void} on.message
 * @param {(state: 'live' | 'away') => void} on.state
 */
export function listen(on) {
  let source = new EventSource('api/events')
  let heardAt = performance.now()
  attach()

  function attach() {
    for (const kind of ['snapshot', 'change'])
      source.addEventListener(kind, (event) => {
        heardAt = performance.now()
        if (!(event instanceof MessageEvent)) return
        on.message(JSON.parse(event.data), kind === 'snapshot')
        on.state('live')
      })
    source.addEventListener('error', () => {
      on.state('away')
      // after an answer that is no stream it does not try again by itself
      if (source.readyState === EventSource.CLOSED) setTimeout(reopen, RETRY_MS)
    })
  }

  function reopen() {
    source.close()
    source = new EventSource('api/events')
    heardAt = performance.now()
    attach()
  }

  // a connection that died without a word tells nothing: comments are not told to scripts, so that a look is taken
  setInterval(async () => {
    if (source.readyState !== EventSource.OPEN || performance.now() - heardAt < SILENCE_MS) return
    heardAt = performance.now()
    try {
      const answer = await fetch('healthz', { cache: 'no-store', signal: AbortSignal.timeout(5_000) })
      if (answer.ok) return
    } catch {}
    on.state('away')
    reopen()
  }, SILENCE_MS / 4)
}
