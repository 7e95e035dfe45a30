import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { AgentProcess } from '../../test/fixtures/agent-process.ts'
import { sha256 } from '../../test/fixtures/image.ts'
import { pullImage } from '../../test/fixtures/pull.ts'
import { BenchFleet } from './bench-fleet.ts'
import { BenchWorld, curl } from './bench-world.ts'
import { cpuSeconds } from './process-usage.ts'
import { median, type Row, span } from './report.ts'

const AGENTS = 48
const ROUNDS = 5
const LAYERS = 12
const LAYER_BYTES = 64 * 1024
const WATCHED_MS = 5_000
const BIG = 256 * 1024 * 1024
const GOAL_CPU = 0.5
const GOAL_SLOWER = 1.1

/** What it costs an agent of 48 to announce an image of 12 blobs, and what that does to a pull that runs. */
export async function swarmAnnounce(world: BenchWorld): Promise<Row[]> {
  const tags = Array.from({ length: 4 * ROUNDS }, (_, index) => `image-${index}`)
  for (const tag of tags) {
    const layers = Array.from({ length: LAYERS }, () => randomBytes(LAYER_BYTES))
    const blobs = layers.map((bytes) => ({ digest: sha256(bytes), bytes }))
    await world.pushBlobs(blobs, tag)
  }
  const big = await world.pushBlob(BIG)
  await using fleet = await BenchFleet.start(world, AGENTS)
  const announcing = fleet.at(-1)
  const next = (): string => tags.pop() ?? 'none left'

  // the same image pulled by an agent without a swarm is what the pull itself costs
  const costs: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const tag = next()
    const [swarm, alone] = [await costOf(announcing, tag), await costOf(world.agent, tag)]
    costs.push(swarm - alone)
  }

  const slower: number[] = []
  const pullBig = async (): Promise<number> => {
    const ms = await curl(fleet.url(announcing, big.digest))
    await fleet.stored(announcing)
    await fleet.remove(announcing, big.digest)
    return ms
  }
  await pullBig()
  for (let round = 0; round < ROUNDS; round++) {
    const quiet = await pullBig()
    await pullImage({ facade: announcing.facade }, BenchWorld.repository, next())
    slower.push((await pullBig()) / quiet)
  }
  return [
    {
      measure: `announcing an image of ${LAYERS} blobs to ${AGENTS} agents, CPU`,
      shoal: `${span(costs, 2)} s`,
      against: 'the same pull without a swarm',
      result: `${median(costs).toFixed(2)} s`,
      goal: `≤ ${GOAL_CPU} s`,
      isMet: median(costs) <= GOAL_CPU,
    },
    {
      measure: 'a cold 256 MiB pull while that goes on',
      shoal: '',
      against: 'the same pull without announcing',
      result: `${span(slower, 2)}× as long`,
      goal: `≤ ${GOAL_SLOWER}×`,
      isMet: median(slower) <= GOAL_SLOWER,
    },
  ]
}

/** CPU seconds for the pull and what follows in the background, without what the agent uses when it is idle. */
async function costOf(agent: AgentProcess, tag: string): Promise<number> {
  const begun = cpuSeconds(agent.pid)
  await pause(WATCHED_MS)
  const quiet = cpuSeconds(agent.pid)
  await pullImage({ facade: agent.facade }, BenchWorld.repository, tag)
  await pause(WATCHED_MS)
  return cpuSeconds(agent.pid) - quiet - (quiet - begun)
}
