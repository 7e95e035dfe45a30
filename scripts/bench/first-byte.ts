import { randomBytes } from 'node:crypto'
import { Agent, get } from 'node:http'
import { sha256 } from '../../test/fixtures/image.ts'
import type { BenchWorld } from './bench-world.ts'
import { quantile, type Row } from './report.ts'

const SIZE = 1024 * 1024
const BLOBS = 150

/** First byte of blobs that nobody has, against the same from the registry itself. */
export async function firstByte(world: BenchWorld): Promise<Row[]> {
  const blobs = Array.from({ length: BLOBS }, () => randomBytes(SIZE)).map((bytes) => ({
    digest: sha256(bytes),
    bytes,
  }))
  await world.pushBlobs(blobs)
  using agents = {
    ours: new Agent({ keepAlive: true }),
    theirs: new Agent({ keepAlive: true }),
    [Symbol.dispose]: stop,
  }
  function stop(this: { ours: Agent; theirs: Agent }): void {
    this.ours.destroy()
    this.theirs.destroy()
  }
  const ours: number[] = []
  const theirs: number[] = []
  for (const [index, { digest }] of blobs.entries()) {
    const direct = await timeToFirstByte(world.registryUrl(`blobs/${digest}`), agents.theirs)
    const through = await timeToFirstByte(world.agentUrl(`blobs/${digest}`), agents.ours)
    // Nothing of this one is to run beside the next one.
    await world.stored()
    // The first ones warm up code and connections.
    if (index < 10) continue
    ours.push(through)
    theirs.push(direct)
  }
  const added = (share: number): number => quantile(ours, share) - quantile(theirs, share)
  return [
    {
      measure: 'first byte of a cold blob, added at p95',
      shoal: `p50 ${quantile(ours, 0.5).toFixed(1)} p95 ${quantile(ours, 0.95).toFixed(1)} ms`,
      against: `registry p50 ${quantile(theirs, 0.5).toFixed(1)} p95 ${quantile(theirs, 0.95).toFixed(1)} ms`,
      result: `+${added(0.95).toFixed(1)} ms (p50 +${added(0.5).toFixed(1)})`,
      goal: '≤ +10 ms',
      isMet: added(0.95) <= 10,
    },
  ]
}

/** Milliseconds; reads the body to its end. */
export async function timeToFirstByte(url: string, agent: Agent): Promise<number> {
  const begun = performance.now()
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  get(url, { agent }, (answer) => {
    let first: number | undefined
    answer.on('data', () => {
      first ??= performance.now() - begun
    })
    answer.on('end', () =>
      answer.statusCode === 200 ? resolve(first ?? 0) : reject(new Error(`${answer.statusCode}`)),
    )
  }).on('error', reject)
  return promise
}
