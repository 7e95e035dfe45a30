import type { PrewarmRequest } from '../../prewarm/prewarm-events.ts'
import type { AdminClient } from '../admin-client.ts'
import { CliError } from '../cli-error.ts'
import { LiveLines } from '../live-lines.ts'
import { lineFor, progressText, summaryOf } from '../prewarm-lines.ts'
import { linesOf, NOTHING_YET, viewAfter } from '../prewarm-view.ts'
import type { Terminal } from '../terminal.ts'

export interface PrewarmContext {
  readonly client: Pick<AdminClient, 'prewarm'>
  readonly json: boolean
  /** Standard output: what stays. */
  readonly print: (text: string) => void
  /** Standard error, if that is a terminal: the bars. */
  readonly bars: { readonly terminal: Terminal; readonly write: (text: string) => void } | undefined
  /** Milliseconds, steady. */
  readonly clock: () => number
}

/** Between lines of progress where no bar can be drawn. */
const PLAIN_MS = 5_000
const DRAW_MS = 100

/** @throws CliError when an image or a host failed, or the agent went away */
export async function prewarm(request: PrewarmRequest, context: PrewarmContext): Promise<void> {
  const { client, json, print, bars, clock } = context
  const live = bars && !json ? new LiveLines(bars) : undefined
  let view = NOTHING_YET
  let shownAt = clock()
  const lines = (): string[] => {
    if (bars === undefined) return []
    return linesOf(view, { columns: bars.terminal.size().columns, hasColor: bars.terminal.hasColor })
  }
  try {
    for await (const event of client.prewarm(request)) {
      if (event.type === 'failed') throw new CliError(event.message)
      view = viewAfter(view, event)
      if (json) print(`${JSON.stringify(event)}\n`)
      else {
        const line = lineFor(event, { withLayers: live === undefined })
        const isDue = clock() - shownAt >= (live === undefined ? PLAIN_MS : DRAW_MS)
        if (live === undefined) {
          if (line !== undefined) print(`${line}\n`)
          else if (event.type === 'progress' && isDue) print(`${progressText(event)}\n`)
        } else if (line !== undefined) live.above(() => print(`${line}\n`), lines())
        else if (isDue) live.draw(lines())
        if (isDue) shownAt = clock()
      }
      if (event.type !== 'done') continue
      live?.clear()
      const forFleet = request.hosts !== undefined
      const summary = summaryOf(event, { forFleet })
      if (!event.ok) throw new CliError(summary)
      if (!json && (forFleet || event.images > 1)) print(`${summary}\n`)
      return
    }
  } finally {
    live?.clear()
  }
  throw new CliError('the agent went away before the prewarm came to its end')
}
