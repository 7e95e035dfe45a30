import { BenchFleet } from './bench-fleet.ts'
import { type BenchWorld, curl } from './bench-world.ts'
import { cpuSeconds } from './process-usage.ts'
import { median, megabytesPerSecond, type Row, span } from './report.ts'

const SIZE = 256 * 1024 * 1024
const AGENTS = 8
const ROUNDS = 3
const GOAL = 2

/** A blob that nobody has, to eight agents and their clients at once, against one agent and its client. */
export async function swarmAggregate(world: BenchWorld): Promise<Row[]> {
  const blob = await world.pushBlob(SIZE)
  const { digest } = blob
  await world.pushBlobs([blob], 'all')
  await using fleet = await BenchFleet.start(world, AGENTS)
  await fleet.introduce('all')
  const { proxy } = world.registry

  const pull = async (count: number): Promise<{ rate: number; copies: number; cores: number }> => {
    const agents = fleet.agents.slice(0, count)
    const cpu = (): number => fleet.agents.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
    const [bytes, used] = [proxy.bytesOut, cpu()]
    const ends = await Promise.all(agents.map((agent) => curl(fleet.url(agent, digest))))
    const ms = Math.max(...ends)
    const cores = (cpu() - used) / (ms / 1000)
    for (const agent of agents) {
      await fleet.stored(agent)
      await fleet.remove(agent, digest)
    }
    return { rate: megabytesPerSecond(SIZE * count, ms), copies: (proxy.bytesOut - bytes) / SIZE, cores }
  }
  const rounds: { one: number; all: number; copies: number; cores: number }[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const one = await pull(1)
    const all = await pull(AGENTS)
    // the first round warms up code, connections and the page cache of the registry
    if (round > 0) rounds.push({ one: one.rate, all: all.rate, copies: all.copies, cores: all.cores })
  }
  const ratio = median(rounds.map(({ one, all }) => all / one))
  const shown = (of: (round: (typeof rounds)[number]) => number, digits: number): string => span(rounds.map(of), digits)
  return [
    {
      measure: `cold 256 MiB blob, ${AGENTS} agents and clients at once`,
      shoal: `${shown((round) => round.all, 0)} MB/s, ${shown((round) => round.cores, 1)} cores used by agents`,
      against: `one agent ${shown((round) => round.one, 0)} MB/s`,
      result: `${ratio.toFixed(2)}×`,
      goal: `≥ ${GOAL}×`,
      isMet: ratio >= GOAL,
    },
    {
      measure: 'the same, copies from the registry',
      shoal: shown((round) => round.copies, 2),
      against: `${AGENTS} without a swarm`,
      result: median(rounds.map(({ copies }) => copies)).toFixed(2),
      goal: '-',
      isMet: true,
    },
  ]
}
