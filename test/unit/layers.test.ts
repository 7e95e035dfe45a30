import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** Imports that the layers of DESIGN.md §4 forbid, each planted in a file of its own. */
const FORBIDDEN: readonly (readonly [file: string, imports: string])[] = [
  ['src/util/planted.ts', '../oci/digest.ts'],
  ['src/util/planted-undici.ts', 'undici'],
  ['src/oci/planted.ts', '../blob/ports.ts'],
  ['src/blob/planted-store.ts', '../store/hash-pool.ts'],
  ['src/blob/planted-fs.ts', 'node:fs'],
  ['src/blob/planted-undici.ts', 'undici'],
  ['src/store/planted.ts', '../origin/origin-client.ts'],
  ['src/store/planted-fastify.ts', 'fastify'],
  ['src/origin/planted.ts', '../store/hash-pool.ts'],
  ['src/origin/planted-libp2p.ts', 'libp2p'],
  ['src/swarm/planted-store.ts', '../store/hash-pool.ts'],
  ['src/swarm/planted-origin.ts', '../origin/origin-client.ts'],
  ['src/swarm/planted-facade.ts', '../facade/server.ts'],
  ['src/swarm/planted-blob.ts', '../blob/blob-service.ts'],
  ['src/swarm/planted-undici.ts', 'undici'],
  ['src/swarm/trust/planted.ts', '../../store/hash-pool.ts'],
  ['src/swarm/leases/planted-blob.ts', '../../blob/blob-service.ts'],
  ['src/swarm/lane/planted.ts', '../../store/hash-pool.ts'],
  ['src/blob/planted-swarm.ts', '../swarm/swarm-ports.ts'],
  ['src/blob/planted-leases.ts', '../swarm/leases/lease-table.ts'],
  ['src/facade/planted-lane.ts', '../swarm/lane/lane-pool.ts'],
  ['src/blob/planted-cborg.ts', 'cborg'],
  ['src/store/planted-libp2p.ts', '@libp2p/crypto/keys'],
  ['src/telemetry/planted-multiformats.ts', 'multiformats/cid'],
  ['src/facade/planted.ts', '../store/hash-pool.ts'],
  ['src/facade/planted-undici.ts', 'undici'],
  ['src/cli/planted.ts', '../blob/blob-service.ts'],
  ['src/setup/planted.ts', '../store/hash-pool.ts'],
  ['src/setup/planted-cli.ts', '../cli/output.ts'],
  ['src/blob/planted-setup.ts', '../setup/mirror.ts'],
  ['src/blob/planted-otel.ts', '@opentelemetry/api'],
  ['src/facade/planted-otel.ts', '@opentelemetry/sdk-trace'],
  ['src/swarm/planted-otel.ts', '@opentelemetry/api'],
  ['src/swarm/lane/planted-otel.ts', '@opentelemetry/api'],
  ['src/swarm/discovery/planted-undici.ts', 'undici'],
  ['src/prewarm/planted-store.ts', '../store/hash-pool.ts'],
  ['src/prewarm/planted-swarm.ts', '../swarm/fleet-prewarm.ts'],
  ['src/prewarm/planted-fs.ts', 'node:fs'],
  ['src/doctor/planted.ts', '../blob/blob-service.ts'],
  ['src/doctor/planted-libp2p.ts', 'libp2p'],
  ['src/swarm/planted-prewarm.ts', '../prewarm/prewarmer.ts'],
  ['src/blob/planted-prewarm.ts', '../prewarm/prewarmer.ts'],
  ['src/telemetry/planted.ts', '../origin/origin-client.ts'],
]

let dir: string
let findings: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-layers-'))
  await cp(join(root, 'src'), join(dir, 'src'), { recursive: true })
  await cp(join(root, 'config'), join(dir, 'config'), { recursive: true })
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'))
  for (const [file, imports] of FORBIDDEN) {
    await mkdir(dirname(join(dir, file)), { recursive: true })
    await writeFile(join(dir, file), `import * as planted from '${imports}'\nexport const used = planted\n`)
  }
  const oxlint = join(root, 'node_modules/.bin/oxlint')
  const failed = await run(oxlint, ['-c', 'config/oxlint.json', '-f', 'unix', 'src'], { cwd: dir }).then(
    () => undefined,
    (error: { stdout: string }) => error,
  )
  findings = failed?.stdout ?? ''
})
afterAll(() => rm(dir, { recursive: true }))

describe('the lint rule of the layers', () => {
  it.each(FORBIDDEN)('finds %s importing %s', (file) => {
    expect(findings).toMatch(new RegExp(`${file.replaceAll('.', '\\.')}.*no-restricted-imports`))
  })

  it('finds nothing else', () => {
    const lines = findings.split('\n').filter((line) => line.includes('no-restricted-imports'))
    expect(lines).toHaveLength(FORBIDDEN.length)
  })
})
