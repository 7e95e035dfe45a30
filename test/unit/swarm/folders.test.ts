import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../../../src/swarm')

/** Each knows only what is in a row above it; at the top of the folder are what all know and what composes them. */
const ROWS: readonly (readonly string[])[] = [
  ['swarm-ports.ts', 'swarm-metrics.ts'],
  ['encoding'],
  ['membership', 'trust'],
  ['node', 'protocol', 'lane'],
  ['discovery'],
  ['exchange', 'leases'],
  ['swarm-directory.ts', 'dial-back.ts', 'fleet-prewarm.ts'],
]

interface Import {
  readonly file: string
  readonly from: string
  readonly to: string
}

/** The folder, or the file where it is in none. */
function partOf(file: string): string {
  return file.split('/')[0] ?? file
}

async function importsWithin(): Promise<Import[]> {
  const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.ts'))
  const imports: Import[] = []
  for (const file of files) {
    const text = await readFile(join(root, file), 'utf8')
    for (const [, path = ''] of text.matchAll(/from '(\.[^']+)'/g)) {
      const target = relative(root, join(root, dirname(file), path))
      if (!target.startsWith('..')) imports.push({ file, from: partOf(file), to: partOf(target) })
    }
  }
  return imports
}

function rowOf(part: string): number {
  return ROWS.findIndex((row) => row.includes(part))
}

describe('the folders of the swarm', () => {
  it('depend one way', async () => {
    const imports = await importsWithin()
    const across = imports.filter(({ from, to }) => from !== to)
    const isLow = ({ from, to }: Import): boolean => rowOf(from) === 0 && rowOf(to) === 0
    expect(across.filter((one) => rowOf(one.from) <= rowOf(one.to) && !isLow(one))).toEqual([])
    expect(across.length).toBeGreaterThan(100)
  })

  it('are all in the rows', async () => {
    const parts = (await readdir(root)).toSorted()
    expect(ROWS.flat().toSorted()).toEqual(parts)
  })
})
