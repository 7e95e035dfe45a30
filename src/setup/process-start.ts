/** When a daemon of this host was started, from https://man7.org/linux/man-pages/man5/proc.5.html */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

export interface ProcessStartInit {
  /** As `/proc/PID/comm` has it. */
  readonly program: string
  /** One that names another file on its command line is another program's own. */
  readonly configFile: string
  /** `/proc`, or what stands for it. */
  readonly proc: string
}

/** Linux tells them to user space in hundredths of a second, whatever it counts in. */
const TICK_MS = 10
const START_TIME = 22
/** The fields before it that are in front of the name's end: the process id and the name, which may hold anything. */
const BEFORE_STATE = 3

/** @returns milliseconds since the epoch, right to a second; undefined when there is not exactly one such process, or nobody can tell */
export function processStart({ program, configFile, proc }: ProcessStartInit): number | undefined {
  try {
    const namespace = readlinkSync(join(proc, 'self/ns/mnt'))
    const [pid, another] = readdirSync(proc).filter(
      (name) => /^\d+$/.test(name) && isDaemon(join(proc, name), { program, configFile, namespace }),
    )
    if (pid === undefined || another !== undefined) return undefined
    const stat = readFileSync(join(proc, pid, 'stat'), 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[START_TIME - BEFORE_STATE])
    const bootSeconds = Number(/^btime (\d+)$/m.exec(readFileSync(join(proc, 'stat'), 'utf8'))?.[1])
    const at = bootSeconds * 1000 + ticks * TICK_MS
    return Number.isFinite(at) ? at : undefined
  } catch {
    return undefined
  }
}

function isDaemon(
  dir: string,
  { program, configFile, namespace }: { program: string; configFile: string; namespace: string },
): boolean {
  try {
    if (readFileSync(join(dir, 'comm'), 'utf8').trim() !== program) return false
    const argv = readFileSync(join(dir, 'cmdline'), 'utf8')
    const given = /\0(?:--?config|-c)[=\0]([^\0]+)/.exec(argv)?.[1]
    if (given !== undefined && given !== configFile) return false
    // one in a container reads that one's files
    return readlinkSync(join(dir, 'ns/mnt')) === namespace
  } catch {
    // it ended, or belongs to somebody else
    return false
  }
}
