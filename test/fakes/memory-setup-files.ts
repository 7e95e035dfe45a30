import { posix } from 'node:path'
import type { SetupFiles } from '../../src/setup/setup-types.ts'

/** Files by their paths; nothing in them is ours. */
export class MemorySetupFiles implements SetupFiles {
  readonly #texts: ReadonlyMap<string, string>

  constructor(texts: Readonly<Record<string, string>>) {
    this.#texts = new Map(Object.entries(texts))
  }

  read(path: string): string | undefined {
    return this.#texts.get(path)
  }

  readNow(path: string): string | undefined {
    return this.read(path)
  }

  isSetUp(): boolean {
    return false
  }

  names(dir: string): string[] {
    const below = [...this.#texts.keys()].filter((path) => path.startsWith(`${dir}/`))
    const names = below.map((path) => posix.relative(dir, path).split('/')[0] ?? '')
    return [...new Set(names)].sort()
  }
}
