/**
 * Two agents of an earlier version and two of this checkout in one swarm, which pull from each other while there is no registry:
 *     npm run interop -- TAG
 */
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { table } from '../src/cli/output.ts'
import { formatBytes } from '../src/util/byte-size.ts'
import { AgentProcess } from '../test/fixtures/agent-process.ts'
import { Fleet } from '../test/fixtures/fleet.ts'
import { buildImage, type Image } from '../test/fixtures/image.ts'
import { pullImage } from '../test/fixtures/pull.ts'
import { startDemoOrigin } from './demo-origin.ts'

const ROOT = join(import.meta.dirname, '..')
const MIB = 1024 * 1024
const LAYERS = [12 * MIB, 3 * MIB, 100_000]
const AGENTS = 4
const NAMES = { old: 'library/interop-old', current: 'library/interop-current' }

const [ref = ''] = process.argv.slice(2)
if (ref === '') {
  console.error('npm run interop -- TAG: which earlier version?')
  process.exit(2)
}
const dir = mkdtempSync(join(tmpdir(), 'shoal-interop-'))
try {
  process.exitCode = await meet(checkOut(ref))
} finally {
  rmSync(dir, { recursive: true, force: true })
}

/** @returns the command of the earlier version */
function checkOut(version: string): string {
  const checkout = join(dir, 'checkout')
  const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'ignore', 'inherit'] }
  execFileSync('git', ['clone', '--quiet', '--no-checkout', ROOT, checkout], quiet)
  execFileSync('git', ['-C', checkout, 'checkout', '--quiet', '--detach', version], quiet)
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--silent', '--prefer-offline'], { ...quiet, cwd: checkout })
  return join(checkout, 'scripts/shoal')
}

/** @returns the exit code */
async function meet(program: string): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const origin = stack.adopt(await startDemoOrigin(), (one) => one.close())
  const images: Record<keyof typeof NAMES, Image> = {
    old: await buildImage({ seed: `old ${Date.now()}`, layerBytes: LAYERS }),
    current: await buildImage({ seed: `current ${Date.now()}`, layerBytes: LAYERS }),
  }
  await origin.push(images.old, NAMES.old)
  await origin.push(images.current, NAMES.current)
  const registries = { 'docker.io': { mirrors: [`http://127.0.0.1:${origin.proxy.port}`] } }
  const config = { origin: { patience: '1s', registries } }
  const isOld = (index: number): boolean => index % 2 === 0
  const agents: AgentProcess[] = []
  const fleet = stack.use(
    await Fleet.start({
      count: AGENTS,
      start: async (swarm, index) => {
        const init = { config: { ...config, swarm }, ...(isOld(index) && { program }) }
        const agent = await AgentProcess.start(init)
        agents[index] = agent
        return agent
      },
    }),
  )
  const rows: string[][] = []
  let failures = 0
  const pull = async (index: number, kind: keyof typeof NAMES, when: string): Promise<void> => {
    const agent = agents[index] ?? fleet.first
    const before = (await agent.status()).traffic
    const { version } = await agent.status()
    let outcome = 'ok'
    try {
      const pulled = await pullImage({ facade: agent.facade }, NAMES[kind], 'latest')
      if (pulled.config !== images[kind].own.config) outcome = 'another image'
    } catch (error) {
      outcome = (error as Error).message
    }
    const { fromOrigin, fromPeers } = (await agent.status()).traffic
    if (outcome !== 'ok') failures += 1
    const amounts = [fromOrigin - before.fromOrigin, fromPeers - before.fromPeers].map(formatBytes)
    rows.push([when, `${index} (${isOld(index) ? ref : 'current'}, ${version})`, NAMES[kind], ...amounts, outcome])
  }

  await pull(0, 'old', 'registry up')
  await pull(1, 'current', 'registry up')
  await origin.end()
  await Promise.all([pull(1, 'old', 'registry ended'), pull(3, 'old', 'registry ended')])
  await Promise.all([pull(0, 'current', 'registry ended'), pull(2, 'current', 'registry ended')])
  console.log(table(['', 'agent', 'image', 'from registry', 'from peers', ''], rows, [3, 4]))
  const answers = await Promise.all(fleet.agents.map((agent) => agent.peers()))
  const banned = answers.flatMap(({ bans }) => bans)
  console.log(`${failures} pulls failed, ${banned.length} peers shut out.`)
  return failures + banned.length === 0 ? 0 : 1
}
