import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { parseConfig } from '../../src/config.ts'
import { hasCode } from '../../src/errors.ts'
import type { ChunkRecord } from './chunk-picture.ts'

const line = z.object({
  time: z.number(),
  digest: z.string(),
  chunk: z.number().int(),
  source: z.enum(['origin', 'peer', 'store']),
  peer: z.string().optional(),
  event: z.string(),
})

/** Where an agent writes what chunks it gets. */
export function transferLogOf(dir: string, host: string): string {
  return join(dir, `${host}.transfers.jsonl`)
}

/** The agent's setting that says so. @returns undefined when agents have no such setting */
export function transferLogSetting(dir: string, host: string): string | undefined {
  const file = transferLogOf(dir, host)
  try {
    parseConfig({ log: { transfers: file } })
    return `log.transfers=${file}`
  } catch (error) {
    if (hasCode(error, 'CONFIG_INVALID')) return undefined
    throw error
  }
}

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
