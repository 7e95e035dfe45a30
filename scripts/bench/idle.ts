import { setTimeout as pause } from 'node:timers/promises'
import type { BenchWorld } from './bench-world.ts'
import type { Row } from './report.ts'

const SECONDS = 20

export async function idle(world: BenchWorld): Promise<Row[]> {
  await pause(3_000)
  const before = world.cpuSeconds()
  await pause(SECONDS * 1000)
  const share = (world.cpuSeconds() - before) / SECONDS
  const rss = world.memoryMiB('VmRSS')
  return [
    {
      measure: 'idle agent, memory',
      shoal: '',
      against: '',
      result: `${rss.toFixed(0)} MiB RSS`,
      goal: '≤ 120 MiB',
      isMet: rss <= 120,
    },
    {
      measure: `idle agent, CPU over ${SECONDS} s`,
      shoal: '',
      against: '',
      result: `${(share * 100).toFixed(2)} % of a core`,
      goal: '≤ 1 %',
      isMet: share <= 0.01,
    },
  ]
}
