import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { sha256 } from '../../test/fixtures/image.ts'
import { seededRandom } from '../../test/fixtures/known-blobs.ts'
import { BenchFleet } from './bench-fleet.ts'
import type { BenchWorld } from './bench-world.ts'
import { timeToFirstByte } from './first-byte.ts'
import { quantile, type Row } from './report.ts'

const AGENTS = 48
const BLOBS = 120
const WARM_UP = 20
const SIZE = 1024 * 1024
const ANNOUNCED_MS = 5_000
const P50_MS = 20
const P95_MS = 50

/** First byte of a blob that one of 48 agents, each a process, has; the registry is cut off. */
export async function swarmFirstByte(world: BenchWorld): Promise<Row[]> {
  const blobs = Array.from({ length: BLOBS }, () => randomBytes(SIZE)).map((bytes) => ({
    digest: sha256(bytes),
    bytes,
  }))
  await world.pushBlobs(blobs, 'many')
  await using fleet = await BenchFleet.start(world, AGENTS)
  await fleet.introduce('many')
  const random = seededRandom(1)
  const journeys = blobs.map(({ digest }) => {
    const giver = Math.floor(random() * AGENTS)
    const taker = (giver + 1 + Math.floor(random() * (AGENTS - 1))) % AGENTS
    return { digest, giver: fleet.at(giver), taker: fleet.at(taker) }
  })
  for (const { digest, giver } of journeys) await (await fetch(fleet.url(giver, digest))).arrayBuffer()
  await pause(ANNOUNCED_MS)
  await world.registry.proxy.refuse()

  const agent = new Agent({ keepAlive: true })
  const times: number[] = []
  try {
    for (const { digest, taker } of journeys) {
      times.push(await timeToFirstByte(fleet.url(taker, digest), agent))
      await fleet.stored(taker)
    }
  } finally {
    agent.destroy()
  }
  // the first ones warm up code and connections
  const measured = times.slice(WARM_UP)
  const [p50, p95] = [quantile(measured, 0.5), quantile(measured, 0.95)]
  return [
    {
      measure: `first byte from a peer, ${AGENTS} agents (processes)`,
      shoal: `${measured.length} blobs, worst ${Math.max(...measured).toFixed(0)} ms`,
      against: '',
      result: `p50 ${p50.toFixed(1)} p95 ${p95.toFixed(1)} ms`,
      goal: `≤ ${P50_MS} / ≤ ${P95_MS} ms`,
      isMet: p50 <= P50_MS && p95 <= P95_MS,
    },
  ]
}
