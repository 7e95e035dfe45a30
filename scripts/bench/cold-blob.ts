import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../test/fixtures/child.ts'
import { type BenchWorld, curl } from './bench-world.ts'
import { median, type Row, span } from './report.ts'

const SIZE = 512 * 1024 * 1024
const ROUNDS = 5

/** A blob that nobody has, delivered, verified and stored, against curl to disk and sha256sum. */
export async function coldBlob(world: BenchWorld): Promise<Row[]> {
  const { digest } = await world.pushBlob(SIZE)
  const file = join(world.dir, 'direct')
  const rounds: { ours: number; theirs: number }[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const begun = performance.now()
    await curl(world.agentUrl(`blobs/${digest}`))
    await world.stored()
    const ours = performance.now() - begun
    await world.removeFromAgent(digest)

    const direct = await curl(world.registryUrl(`blobs/${digest}`), { output: file })
    const hashing = performance.now()
    await run('sha256sum', [file])
    const theirs = direct + performance.now() - hashing
    await rm(file)
    // The first round warms up the page cache of the registry.
    if (round > 0) rounds.push({ ours, theirs })
  }
  const ratio = median(rounds.map(({ ours, theirs }) => theirs / ours))
  return [
    {
      measure: 'cold 512 MiB blob, verified and stored',
      shoal: `${span(
        rounds.map((round) => round.ours / 1000),
        2,
      )} s`,
      against: `curl + sha256sum ${span(
        rounds.map((round) => round.theirs / 1000),
        2,
      )} s`,
      result: `${ratio.toFixed(2)}× as fast`,
      goal: '≥ 0.8×',
      isMet: ratio >= 0.8,
    },
  ]
}
