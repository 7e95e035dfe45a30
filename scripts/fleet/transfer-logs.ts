import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { ChunkRecord } from './chunk-picture.ts'

const line = z.object({
  time: z.number(),
  digest: z.string(),
  chunk: z.number().int(),
  source: z.enum(['origin', 'peer', 'store']),
  peer: z.string().optional(),
  event: z.string(),
})

/** Lines of an agent's transfer log; one that a kill has cut short, or that is about something else, is left out. */
export function parseTransferLog(text: string, host: string): ChunkRecord[] {
  return text.split('\n').flatMap((row) => {
    const { data } = line.safeParse(parsed(row))
    return data === undefined ? [] : [{ ...data, host }]
  })
}

/** @param files by host; one that does not exist has no lines */
export async function readTransferLogs(files: ReadonlyMap<string, string>): Promise<ChunkRecord[]> {
  const logs = [...files].map(async ([host, file]) =>
    parseTransferLog(await readFile(file, 'utf8').catch(() => ''), host),
  )
  return (await Promise.all(logs)).flat()
}

function parsed(row: string): unknown {
  try {
    return JSON.parse(row)
  } catch {
    return undefined
  }
}
