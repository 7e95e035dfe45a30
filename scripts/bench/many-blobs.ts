import { type BenchWorld, curl } from './bench-world.ts'
import type { Row } from './report.ts'

const SIZE = 256 * 1024 * 1024
const BLOBS = 16

/** Memory while many clients pull many different blobs. */
export async function manyBlobs(world: BenchWorld): Promise<Row[]> {
  const digests = []
  for (let blob = 0; blob < BLOBS; blob++) digests.push((await world.pushBlob(SIZE)).digest)
  const begun = performance.now()
  await Promise.all(digests.map((digest) => curl(world.agentUrl(`blobs/${digest}`))))
  await world.stored()
  const seconds = (performance.now() - begun) / 1000
  const peak = world.memoryMiB('VmHWM')
  return [
    {
      measure: `${BLOBS} clients, ${BLOBS} cold blobs of 256 MiB, peak memory`,
      shoal: `${((BLOBS * SIZE) / 1e6 / seconds).toFixed(0)} MB/s`,
      against: '',
      result: `${peak.toFixed(0)} MiB RSS`,
      goal: '≤ 250 MiB',
      isMet: peak <= 250,
    },
  ]
}
