import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../test/fixtures/child.ts'
import type { BenchWorld } from './bench-world.ts'
import { median, type Row, span } from './report.ts'

const ROUNDS = 3

/** Manifests by digest from the agent's memory, against the registry itself and a file in nginx. */
export async function manifests(world: BenchWorld): Promise<Row[]> {
  const blobs = await Promise.all(Array.from({ length: 8 }, () => world.pushBlob(1024)))
  const digest = await world.pushBlobs(blobs)
  const url = world.agentUrl(`manifests/${digest}`)
  const bytes = Buffer.from(await (await fetch(url)).arrayBuffer())
  const root = join(world.dir, 'www')
  await mkdir(root)
  await writeFile(join(root, 'manifest'), bytes)
  const nginx = `${(await world.startNginx(root)).url}/manifest`
  const ours: number[] = []
  const registry: number[] = []
  const file: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await requestsPerSecond(url))
    registry.push(await requestsPerSecond(world.registryUrl(`manifests/${digest}`)))
    file.push(await requestsPerSecond(nginx))
  }
  const rate = median(ours)
  const times = rate / median(registry)
  const against = `docker-registry ${span(registry, 0)}, nginx ${span(file, 0)}`
  return [
    {
      measure: 'cached manifests per second, 32 connections',
      shoal: span(ours, 0),
      against,
      result: rate.toFixed(0),
      goal: '≥ 15000',
      isMet: rate >= 15_000,
    },
    {
      measure: 'the same, against docker-registry',
      shoal: '',
      against: '',
      result: `${times.toFixed(1)}×`,
      goal: '≥ 5×',
      isMet: times >= 5,
    },
  ]
}

async function requestsPerSecond(url: string): Promise<number> {
  // Like every client, it does not leave out what to accept: registries convert manifests for those who do.
  const accept = 'Accept: application/vnd.oci.image.manifest.v1+json'
  const output = await run('wrk', ['-t1', '-c32', '-d4s', '-H', accept, url])
  if (/Non-2xx/.test(output)) throw new Error(`errors from ${url}:\n${output}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1])
}
