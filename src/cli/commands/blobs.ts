import { formatBytes } from '../../util/byte-size.ts'
import { counted } from '../../util/counted.ts'
import { ago, json, table } from '../output.ts'
import type { CommandContext } from './command-context.ts'

export async function blobs({ client, json: asJson, print }: CommandContext): Promise<void> {
  const held = await client.blobs()
  if (asJson) return print(json(held))
  if (held.length === 0) return print('No blobs in the store.\n')
  const now = Date.now()
  const rows = [...held]
    .sort((a, b) => b.usedAt - a.usedAt)
    .map(({ digest, size, usedAt, pinned }) => [digest, formatBytes(size), ago(usedAt, now), pinned ? 'pinned' : ''])
  const bytes = held.reduce((sum, { size }) => sum + size, 0)
  print(`${table(['DIGEST', 'SIZE', 'USED', ''], rows, [1])}${counted(held.length, 'blob')}, ${formatBytes(bytes)}\n`)
}
