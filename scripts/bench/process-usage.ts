import { readFileSync } from 'node:fs'
import { run } from '../../test/fixtures/child.ts'

const TICKS_PER_SECOND = 100

/** CPU time that a process has used, all of its threads. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Of a process and those that it has started and that still run. */
export function cpuSecondsWithChildren(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return children.reduce((sum, child) => sum + cpuSecondsWithChildren(Number(child)), cpuSeconds(pid))
}

/** @param field of /proc/PID/status, in KiB there */
export function memoryMiB(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024
}

export interface Timed {
  readonly seconds: number
  readonly cpuSeconds: number
}

/** Runs a program to its end. */
export async function timed(command: string, args: readonly string[]): Promise<Timed> {
  const begun = performance.now()
  // of the children: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#times
  const output = await run('sh', ['-c', '"$@" >/dev/null && times', 'sh', command, ...args], { timeoutMs: 300_000 })
  const seconds = (performance.now() - begun) / 1000
  const used = [...(output.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)]
  if (used.length !== 2) throw new Error(`no times of ${command}: ${output}`)
  return { seconds, cpuSeconds: used.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0) }
}
