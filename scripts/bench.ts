/**
 * `npm run bench [-- SECTION…]`: what Shoal does in one run beside something else that does the same, as ratios.
 * The machine may be shared: each figure is the median of rounds that take turns.
 */
import { availableParallelism, cpus, loadavg } from 'node:os'
import { BenchWorld } from './bench/bench-world.ts'
import { cachedBlob } from './bench/cached-blob.ts'
import { coldBlob } from './bench/cold-blob.ts'
import { firstByte } from './bench/first-byte.ts'
import { idle } from './bench/idle.ts'
import { manifests } from './bench/manifests.ts'
import { manyBlobs } from './bench/many-blobs.ts'
import { printTable, type Row } from './bench/report.ts'
import { swarmAggregate } from './bench/swarm-aggregate.ts'
import { swarmAnnounce } from './bench/swarm-announce.ts'
import { swarmBlob } from './bench/swarm-blob.ts'
import { swarmFirstByte } from './bench/swarm-first-byte.ts'
import { swarmIdle } from './bench/swarm-idle.ts'
import { swarmVisible } from './bench/swarm-visible.ts'
import { tenClients } from './bench/ten-clients.ts'

const SECTIONS: Record<string, (world: BenchWorld) => Promise<Row[]>> = {
  idle,
  cached: cachedBlob,
  cold: coldBlob,
  'first-byte': firstByte,
  manifests,
  'ten-clients': tenClients,
  'many-blobs': manyBlobs,
  'swarm-blob': swarmBlob,
  'swarm-first-byte': swarmFirstByte,
  'swarm-visible': swarmVisible,
  'swarm-aggregate': swarmAggregate,
  'swarm-idle': swarmIdle,
  'swarm-announce': swarmAnnounce,
}

const wanted = process.argv.slice(2)
const unknown = wanted.find((name) => !(name in SECTIONS))
if (unknown !== undefined) {
  console.error(`no section ${unknown}; there are: ${Object.keys(SECTIONS).join(', ')}`)
  process.exit(2)
}
const missing = BenchWorld.missingPrograms()
if (missing !== undefined) {
  console.error(`The benchmarks compare with other programs: ${missing}.`)
  process.exit(1)
}

console.log(`${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}`)
const rows: Row[] = []
for (const [name, section] of Object.entries(SECTIONS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(`… ${name} (load ${loadavg()[0]?.toFixed(1)})`)
  const world = await BenchWorld.start()
  try {
    rows.push(...(await section(world)))
  } finally {
    await world.close()
  }
}
printTable(rows)
