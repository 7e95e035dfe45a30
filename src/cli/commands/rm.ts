import type { RemoveResult } from '../../facade/admin-api.ts'
import { formatBytes } from '../../util/byte-size.ts'
import { CliError } from '../cli-error.ts'
import { json } from '../output.ts'
import type { CommandContext } from './command-context.ts'

/**
 * Removes blobs by digest or by a prefix that only one blob has. Nothing is removed when one of them is not clear.
 * @throws CliError
 */
export async function rm(wanted: readonly string[], { client, json: asJson, print }: CommandContext): Promise<void> {
  for (const prefix of wanted) parse(prefix)
  const held = (await client.blobs()).map(({ digest }) => digest)
  const digests = new Set(wanted.map((prefix) => expand(prefix, held)))
  const removed: RemoveResult[] = []
  try {
    for (const digest of digests) {
      const result = await client.remove(digest)
      removed.push(result)
      if (!asJson) print(`removed ${result.digest} (${formatBytes(result.bytes)})\n`)
    }
  } finally {
    // what is gone is gone, whatever became of the next one
    if (asJson) print(json(removed))
  }
}

/** @throws CliError with exit code 2 when it is no prefix of a digest, 1 when no blob or more than one has it */
export function expand(prefix: string, held: readonly string[]): string {
  const { algorithm, hex } = parse(prefix)
  const matches = held.filter((digest) => {
    const [ownAlgorithm, ownHex = ''] = digest.split(':')
    return ownHex.startsWith(hex) && (algorithm === undefined || algorithm === ownAlgorithm)
  })
  const [match, another] = matches
  if (match === undefined) throw new CliError(`no blob ${prefix} in the store`)
  if (another !== undefined) throw new CliError(`${matches.length} blobs begin with ${prefix}: give more of it`)
  return match
}

function parse(prefix: string): { readonly algorithm: string | undefined; readonly hex: string } {
  const [, algorithm, hex] = /^(?:(sha256|sha512):)?([0-9a-f]{1,128})$/.exec(prefix) ?? []
  if (hex === undefined) throw new CliError(`not a digest or the beginning of one: ${prefix}`, { exitCode: 2 })
  return { algorithm, hex }
}
