import { formatBytes } from '../../util/byte-size.ts'
import { counted } from '../../util/counted.ts'
import { formatDuration } from '../../util/duration.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext } from './command-context.ts'

/** @throws CliError when a blob is bad, or the check did not come to its end */
export async function verify({ client, json: asJson, print }: CommandContext): Promise<void> {
  for await (const event of client.verify()) {
    if (asJson) print(`${JSON.stringify(event)}\n`)
    else if (event.type === 'blob' && event.outcome !== 'ok') print(`${event.outcome}  ${event.digest}\n`)
    if (event.type === 'failed') throw new CliError(event.message)
    if (event.type !== 'done') continue
    const { checked, bad, bytes, seconds } = event
    if (!asJson)
      print(
        `${counted(checked, 'blob')}, ${formatBytes(bytes)}, checked in ${formatDuration(seconds * 1_000)}: ${bad} bad\n`,
      )
    if (bad > 0) throw new CliError(`${bad} of ${checked} blobs were bad`)
    return
  }
  throw new CliError('the agent went away before all blobs were checked')
}
