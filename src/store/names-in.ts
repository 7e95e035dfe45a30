import { readdir } from 'node:fs/promises'
import { errnoOf } from './file-errors.ts'

/** What is in the directory; nothing when it is none. */
export async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR' || errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
