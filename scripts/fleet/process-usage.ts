/** What processes and the machine have used. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
import { readFileSync } from 'node:fs'

/** USER_HZ, the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** @param stat /proc/PID/stat @returns seconds of CPU, with those of children that have ended */
export function cpuSecondsOf(stat: string): number {
  // the name, in brackets, may hold anything
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return ticks / TICKS_PER_SECOND
}

/** @param status /proc/PID/status @returns the most memory that was resident at once, in bytes */
export function peakMemoryOf(status: string): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
}

export interface MachineTime {
  readonly busy: number
  readonly all: number
}

/** @param stat /proc/stat @returns ticks of all cores together */
export function machineTimeOf(stat: string): MachineTime {
  // user nice system idle iowait irq softirq steal; guests' time is in user's
  const fields = (/^cpu +(.+)$/m.exec(stat)?.[1] ?? '').split(' ').slice(0, 8).map(Number)
  const all = fields.reduce((sum, field) => sum + field, 0)
  return { all, busy: all - (fields[3] ?? 0) - (fields[4] ?? 0) }
}

export interface ProcessUsage {
  readonly cpuSeconds: number
  readonly peakMemory: number
}

/** Undefined when there is no such process. */
export function readUsage(pid: number): ProcessUsage | undefined {
  try {
    return {
      cpuSeconds: cpuSecondsOf(readFileSync(`/proc/${pid}/stat`, 'utf8')),
      peakMemory: peakMemoryOf(readFileSync(`/proc/${pid}/status`, 'utf8')),
    }
  } catch {
    return undefined
  }
}

export function readMachineTime(): MachineTime {
  return machineTimeOf(readFileSync('/proc/stat', 'utf8'))
}
