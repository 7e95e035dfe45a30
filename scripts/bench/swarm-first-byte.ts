import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { AgentProcess } from '../../test/fixtures/agent-process.ts'
import { sha256 } from '../../test/fixtures/image.ts'
import { seededRandom } from '../../test/fixtures/known-blobs.ts'
import { BenchFleet } from './bench-fleet.ts'
import type { BenchWorld } from './bench-world.ts'
import { timeToFirstByte } from './first-byte.ts'
import { quantile, type Row } from './report.ts'

const AGENTS = 48
const MEASURED = 100
/** Agents that pull, each so often before it is measured: the code of the others is warm from giving. */
const TAKERS = 6
const WARM_UPS = 12
const SIZE = 1024 * 1024
const ANNOUNCED_MS = 5_000
/** All agents share this machine: what they do about the blob before, such as announcing it, is not to run beside the next one. */
const QUIET_MS = 1_000
const P50_MS = 20
const P95_MS = 50

/**
 * First byte of a blob that two of 48 agents have, each a process: readers get bytes of peers at once when two vouch for
 * them. The registry has a long head start to give, so that it is the peers' doing; it only says who may have the blob.
 */
export async function swarmFirstByte(world: BenchWorld): Promise<Row[]> {
  const blobs = Array.from({ length: TAKERS * WARM_UPS + MEASURED }, () => randomBytes(SIZE)).map((bytes) => ({
    digest: sha256(bytes),
    bytes,
  }))
  await world.pushBlobs(blobs, 'many')
  await using fleet = await BenchFleet.start(world, AGENTS, { headStart: '1s' })
  await fleet.introduce('many')
  const random = seededRandom(1)
  const journeys = blobs.map(({ digest }, index) => {
    const giver = Math.floor(random() * (AGENTS - TAKERS - 1))
    const givers = [fleet.at(TAKERS + giver), fleet.at(TAKERS + giver + 1)]
    return { digest, givers, taker: fleet.at(index % TAKERS) }
  })
  for (const { digest, givers } of journeys) {
    await Promise.all(givers.map(async (giver) => (await fetch(fleet.url(giver, digest))).arrayBuffer()))
  }
  await pause(ANNOUNCED_MS)
  const before = await sumOf(fleet.agents)

  const agent = new Agent({ keepAlive: true })
  const times: number[] = []
  try {
    for (const { digest, taker } of journeys) {
      times.push(await timeToFirstByte(fleet.url(taker, digest), agent))
      await fleet.stored(taker)
      await pause(QUIET_MS)
    }
  } finally {
    agent.destroy()
  }
  const measured = times.slice(TAKERS * WARM_UPS)
  const after = await sumOf(fleet.agents)
  const fromPeers = after.fromPeers - before.fromPeers
  const share = fromPeers / (fromPeers + after.fromOrigin - before.fromOrigin)
  const [p50, p95] = [quantile(measured, 0.5), quantile(measured, 0.95)]
  return [
    {
      measure: `first byte from a peer, ${AGENTS} agents (processes)`,
      shoal: `${measured.length} blobs, ${(share * 100).toFixed(0)} % of bytes from peers, worst ${Math.max(...measured).toFixed(0)} ms`,
      against: `the first pull of an agent p50 ${quantile(times.slice(0, TAKERS), 0.5).toFixed(0)} ms`,
      result: `p50 ${p50.toFixed(1)} p95 ${p95.toFixed(1)} ms`,
      goal: `≤ ${P50_MS} / ≤ ${P95_MS} ms`,
      isMet: p50 <= P50_MS && p95 <= P95_MS,
    },
  ]
}

async function sumOf(agents: readonly AgentProcess[]): Promise<{ fromOrigin: number; fromPeers: number }> {
  const traffic = await Promise.all(agents.map(async (agent) => (await agent.status()).traffic))
  return {
    fromOrigin: traffic.reduce((sum, { fromOrigin }) => sum + fromOrigin, 0),
    fromPeers: traffic.reduce((sum, { fromPeers }) => sum + fromPeers, 0),
  }
}
