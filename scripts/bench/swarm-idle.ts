import { setTimeout as pause } from 'node:timers/promises'
import { BenchFleet } from './bench-fleet.ts'
import type { BenchWorld } from './bench-world.ts'
import { cpuSeconds, memoryMiB } from './process-usage.ts'
import { median, type Row, span } from './report.ts'

const SIZES = [16, 48]
const SETTLE_MS = 10_000
const SECONDS = 20
const GOAL_MIB = 120
const GOAL_SHARE = 0.01

/** Memory and CPU of agents in swarms in which nothing happens, each a process. */
export async function swarmIdle(world: BenchWorld): Promise<Row[]> {
  const rows: Row[] = []
  for (const size of SIZES) rows.push(...(await idleAmong(size, world)))
  return rows
}

async function idleAmong(size: number, world: BenchWorld): Promise<Row[]> {
  await using fleet = await BenchFleet.start(world, size)
  await pause(SETTLE_MS)
  const before = fleet.agents.map(({ pid }) => cpuSeconds(pid))
  await pause(SECONDS * 1000)
  const shares = fleet.agents.map(({ pid }, index) => (cpuSeconds(pid) - (before[index] ?? 0)) / SECONDS)
  const memory = fleet.agents.map(({ pid }) => memoryMiB(pid, 'VmRSS'))
  const connected = await Promise.all(fleet.agents.map(async (agent) => (await agent.status()).swarm?.connected ?? 0))
  return [
    {
      measure: `idle agent in a swarm of ${size}, memory`,
      shoal: `${span(memory, 0)} MiB, connected with ${span(connected, 0)}`,
      against: '',
      result: `${median(memory).toFixed(0)} MiB RSS`,
      goal: `≤ ${GOAL_MIB} MiB`,
      isMet: median(memory) <= GOAL_MIB,
    },
    {
      measure: `idle agent in a swarm of ${size}, CPU over ${SECONDS} s`,
      shoal: `${span(
        shares.map((share) => share * 100),
        2,
      )} %`,
      against: '',
      result: `${(median(shares) * 100).toFixed(2)} % of a core`,
      goal: '≤ 1 %',
      isMet: median(shares) <= GOAL_SHARE,
    },
  ]
}
