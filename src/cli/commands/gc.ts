import { formatBytes } from '../../util/byte-size.ts'
import { counted } from '../../util/counted.ts'
import { json } from '../output.ts'
import type { CommandContext } from './command-context.ts'

export async function gc({ client, json: asJson, print }: CommandContext): Promise<void> {
  const result = await client.gc()
  if (asJson) return print(json(result))
  const { removedBlobs, removedBytes, blobs, bytes } = result
  print(
    `Removed ${counted(removedBlobs, 'blob')} (${formatBytes(removedBytes)}); ${counted(blobs, 'blob')} (${formatBytes(bytes)}) left.\n`,
  )
}
