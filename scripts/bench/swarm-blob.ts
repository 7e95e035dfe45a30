import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BenchFleet } from './bench-fleet.ts'
import type { BenchWorld } from './bench-world.ts'
import { cpuSeconds, cpuSecondsWithChildren, timed } from './process-usage.ts'
import { median, type Row, span } from './report.ts'

const SIZE = 512 * 1024 * 1024
const GIB = 1024 ** 3
const ROUNDS = 5
const GOAL = 1
const CPU_GOAL = 1.2

interface Round {
  readonly seconds: number
  readonly cpu: number
}

/** A blob from one peer, the registry cut off: encrypted, verified, stored, delivered; against curl from nginx over TLS. */
export async function swarmBlob(world: BenchWorld): Promise<Row[]> {
  const blob = await world.pushBlob(SIZE)
  const { digest } = blob
  await world.pushBlobs([blob], 'one')
  const root = join(world.dir, 'www')
  await mkdir(root)
  await writeFile(join(root, 'blob'), blob.bytes)
  const nginx = await world.startNginx(root, { tls: true })
  await using fleet = await BenchFleet.start(world, 2)
  const [giver, taker] = [fleet.at(0), fleet.at(1)]
  await fleet.introduce('one')
  await timed('curl', ['-sSf', '-o', '/dev/null', fleet.url(giver, digest)])
  await fleet.stored(giver)
  await world.registry.proxy.refuse()

  const ours: Round[] = []
  const theirs: Round[] = []
  const file = join(world.dir, 'direct')
  for (let round = 0; round <= ROUNDS; round++) {
    const before = cpuSeconds(giver.pid) + cpuSeconds(taker.pid)
    const begun = performance.now()
    const client = await timed('curl', ['-sSf', '-o', '/dev/null', fleet.url(taker, digest)])
    await fleet.stored(taker)
    const seconds = (performance.now() - begun) / 1000
    const agents = cpuSeconds(giver.pid) + cpuSeconds(taker.pid) - before
    const { traffic } = await taker.status()
    if (traffic.fromOrigin > SIZE / 100) throw new Error('the blob did not come from the peer')
    await fleet.remove(taker, digest)

    const nginxBefore = cpuSecondsWithChildren(nginx.pid)
    const curl = await timed('curl', ['-sSfk', '--tlsv1.3', '-o', file, `${nginx.url}/blob`])
    const hash = await timed('sha256sum', [file])
    const served = cpuSecondsWithChildren(nginx.pid) - nginxBefore
    await rm(file)
    // the first round warms up code, connections and the page cache
    if (round === 0) continue
    ours.push({ seconds, cpu: (agents + client.cpuSeconds) * (GIB / SIZE) })
    const cpu = (served + curl.cpuSeconds + hash.cpuSeconds) * (GIB / SIZE)
    theirs.push({ seconds: curl.seconds + hash.seconds, cpu })
  }
  const ratio = (of: (round: Round) => number): number =>
    median(ours.map((round, index) => of(round) / of(theirs[index] ?? round)))
  const all = (rounds: readonly Round[], of: (round: Round) => number): string => span(rounds.map(of), 2)
  const speed = 1 / ratio((round) => round.seconds)
  const cpu = ratio((round) => round.cpu)
  return [
    {
      measure: '512 MiB blob from one peer, verified and stored',
      shoal: `${all(ours, (round) => round.seconds)} s`,
      against: `nginx TLS, curl, sha256sum ${all(theirs, (round) => round.seconds)} s`,
      result: `${speed.toFixed(2)}× as fast`,
      goal: `≥ ${GOAL.toFixed(1)}×`,
      isMet: speed >= GOAL,
    },
    {
      measure: 'the same, CPU of all processes',
      shoal: `${all(ours, (round) => round.cpu)} s/GiB`,
      against: `${all(theirs, (round) => round.cpu)} s/GiB`,
      result: `${cpu.toFixed(2)}×`,
      goal: `≤ ${CPU_GOAL}×`,
      isMet: cpu <= CPU_GOAL,
    },
  ]
}
