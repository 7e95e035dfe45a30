import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const ANYBODY = 0o007
const ANYBODY_ENTERS = 0o001

/** Whether every user of the host can get at the file. @throws the system's error */
export async function isOpenToAll(file: string): Promise<boolean> {
  const real = await realpath(file)
  if (((await stat(real)).mode & ANYBODY) === 0) return false
  for (let dir = dirname(real), below = real; dir !== below; below = dir, dir = dirname(dir))
    if (((await stat(dir)).mode & ANYBODY_ENTERS) === 0) return false
  return true
}
