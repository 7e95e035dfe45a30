import { BenchWorld, curl } from './bench-world.ts'
import type { Row } from './report.ts'

const SIZE = 256 * 1024 * 1024

/** What ten clients of one cold blob cost the origin. */
export async function tenClients(world: BenchWorld): Promise<Row[]> {
  const { digest } = await world.pushBlob(SIZE)
  // The registry by the name under which its bytes are counted.
  const counted = `${world.agent.facadeUrl}/v2/${BenchWorld.repository}/blobs/${digest}?ns=${world.registry.registry}`
  const before = world.registry.proxy.bytesOut
  await curl(counted, { clients: 10 })
  const copies = (world.registry.proxy.bytesOut - before) / SIZE
  return [
    {
      measure: 'ten clients of one cold blob',
      shoal: `${copies.toFixed(3)} copies`,
      against: 'from the origin, headers included',
      result: copies.toFixed(2),
      goal: '1.00',
      isMet: copies < 1.005,
    },
  ]
}
