import { readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const ANYBODY = 0o006
const ANYBODY_ENTERS = 0o001
const SECRETS = '/run/secrets/'

/**
 * Whether every user of the host can get at the file. What was handed to a container is read there by nobody else, whatever its mode.
 * @throws the system's error
 */
export async function isOpenToAll(file: string): Promise<boolean> {
  const real = await realpath(file)
  if (((await stat(real)).mode & ANYBODY) === 0) return false
  for (let dir = dirname(real), below = real; dir !== below; below = dir, dir = dirname(dir))
    if (((await stat(dir)).mode & ANYBODY_ENTERS) === 0) return false
  return !isHandedIn(real, await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''))
}

/**
 * Whether the file is a container's secret, or on a read-only mount.
 * @param real without links
 * @param mountinfo https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
 */
export function isHandedIn(real: string, mountinfo: string): boolean {
  if (real.startsWith(SECRETS)) return true
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [, , , , point, options = ''] = line.split(' ')
    if (point === undefined) return []
    const path = point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    const isAbove = real === path || real.startsWith(path === '/' ? path : `${path}/`)
    return isAbove ? [{ depth: path.length, isReadOnly: options.split(',').includes('ro') }] : []
  })
  // of two at the same place the later one covers the other
  const deepest = Math.max(...mounts.map(({ depth }) => depth))
  return mounts.findLast(({ depth }) => depth === deepest)?.isReadOnly ?? false
}
