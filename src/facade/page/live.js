/** @import { PageMessage } from '../page-data.ts' */

/** A connection that died without a word looks like one on which nothing happens: after so long a new one is opened. */
const SILENCE_MS = 60_000
const RETRY_MS = 3_000
/** Browsers hold six connections to a host: a tab that nobody looks at for so long gives its own back. */
const HIDDEN_MS = 60_000

/**
 * Keeps a stream of events open while anybody looks, for ever.
 * @param {object} on
 * @param {(message: PageMessage, isWhole: boolean) => void} on.message
 * @param {(state: 'live' | 'away') => void} on.state
 */
export function listen(on) {
  /** @type {EventSource | undefined} */
  let source
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer

  function open() {
    source?.close()
    const stream = new EventSource('api/events')
    source = stream
    reopenIn(SILENCE_MS)
    for (const kind of ['snapshot', 'change'])
      stream.addEventListener(kind, (event) => {
        reopenIn(SILENCE_MS)
        on.message(JSON.parse(event.data), kind === 'snapshot')
        on.state('live')
      })
    stream.addEventListener('error', () => {
      on.state('away')
      // after an answer that is no stream it does not try again by itself
      if (stream.readyState === EventSource.CLOSED) reopenIn(RETRY_MS)
    })
  }

  /** @param {number} ms */
  function reopenIn(ms) {
    clearTimeout(timer)
    timer = setTimeout(open, ms)
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) {
      if (source === undefined) open()
      else reopenIn(SILENCE_MS)
      return
    }
    clearTimeout(timer)
    timer = setTimeout(() => {
      source?.close()
      source = undefined
    }, HIDDEN_MS)
  })
  open()
}
