import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BenchWorld, curl } from './bench-world.ts'
import { median, megabytesPerSecond, type Row, span } from './report.ts'

const SIZE = 512 * 1024 * 1024
const ROUNDS = 7

/** A blob of the store through the facade, against nginx with sendfile on the same bytes. */
export async function cachedBlob(world: BenchWorld): Promise<Row[]> {
  const { digest, bytes } = await world.pushBlob(SIZE)
  const root = join(world.dir, 'www')
  await mkdir(root)
  await writeFile(join(root, 'blob'), bytes)
  const nginx = `${(await world.startNginx(root)).url}/blob`
  const shoal = world.agentUrl(`blobs/${digest}`)
  await curl(shoal)
  await world.stored()
  await curl(shoal)
  await curl(nginx)

  const rows: Row[] = []
  for (const clients of [1, 4]) {
    const rounds: { ours: number; theirs: number }[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const ours = megabytesPerSecond(SIZE * clients, await curl(shoal, { clients }))
      const theirs = megabytesPerSecond(SIZE * clients, await curl(nginx, { clients }))
      rounds.push({ ours, theirs })
    }
    const ratio = median(rounds.map(({ ours, theirs }) => ours / theirs))
    rows.push({
      measure: `cached 512 MiB blob, ${clients} client${clients > 1 ? 's' : ''}`,
      shoal: `${span(
        rounds.map((round) => round.ours),
        0,
      )} MB/s`,
      against: `nginx sendfile ${span(
        rounds.map((round) => round.theirs),
        0,
      )} MB/s`,
      result: `${ratio.toFixed(2)}×`,
      goal: '≥ 1.0×',
      isMet: ratio >= 1,
    })
  }
  return rows
}
