import { setTimeout as delay } from 'node:timers/promises'
import type { AdminClient } from '../admin-client.ts'
import { LiveLines } from '../live-lines.ts'
import { json } from '../output.ts'
import type { Terminal } from '../terminal.ts'
import { transfersLines, transfersTable } from '../transfers-view.ts'

export interface TransfersContext {
  readonly client: Pick<AdminClient, 'transfers'>
  readonly json: boolean
  /** Again and again, until the process is told to stop. */
  readonly watch: boolean
  readonly print: (text: string) => void
  /** Standard output, if that is a terminal. */
  readonly terminal: Terminal | undefined
}

const LIVE_MS = 500
const PLAIN_MS = 2_000

/** Where there is no terminal, `--watch` prints what changed since the last time, and with `--json` a line for each time. */
export async function transfers(context: TransfersContext, options: { signal: AbortSignal }): Promise<void> {
  const { client, print, terminal, watch } = context
  if (!watch) {
    const answer = await client.transfers()
    print(context.json ? json(answer.transfers) : transfersTable(answer))
    return
  }
  const live = terminal !== undefined && !context.json ? new LiveLines({ terminal, write: print }) : undefined
  let printed = ''
  while (!options.signal.aborted) {
    const answer = await client.transfers()
    if (live !== undefined && terminal !== undefined) {
      live.draw(transfersLines(answer, { columns: terminal.size().columns, hasColor: terminal.hasColor }))
    } else {
      const text = context.json ? `${JSON.stringify(answer.transfers)}\n` : transfersTable(answer)
      if (text !== printed) print(text)
      printed = text
    }
    await delay(live === undefined ? PLAIN_MS : LIVE_MS, undefined, options).catch(() => {})
  }
}
