/** Shows on one host, with what is installed on it, what an agent does. Every number is measured in this run. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { table } from '../src/cli/output.ts'
import { formatBytes } from '../src/util/byte-size.ts'
import { AgentProcess } from '../test/fixtures/agent-process.ts'
import { endAll } from '../test/fixtures/child.ts'
import type { ClientInit, ImageClient } from '../test/fixtures/client.ts'
import { ContainerdClient } from '../test/fixtures/client-containerd.ts'
import { DockerClient } from '../test/fixtures/client-docker.ts'
import { PodmanClient } from '../test/fixtures/client-podman.ts'
import { SkopeoClient } from '../test/fixtures/client-skopeo.ts'
import { startDemoOrigin } from './demo-origin.ts'
import { DemoPuller } from './demo-puller.ts'
import { DemoRun, type Measured, showSeconds } from './demo-run.ts'

const CLIENTS: readonly [name: string, kind: ClientKind][] = [
  ['docker', DockerClient],
  ['containerd', ContainerdClient],
  ['podman', PodmanClient],
  ['skopeo', SkopeoClient],
]
// nothing listens there: whatever a client gets, it gets from the agent
const NOWHERE = '127.0.0.1:9'
const INTERRUPTED = 130

interface ClientKind {
  unavailable(): string | undefined
  start(init: ClientInit): Promise<ImageClient>
}

let interrupted = false
const say = (line: string): void => {
  if (!interrupted) console.log(line)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) process.exit(INTERRUPTED)
    say('\nCleaning up…')
    interrupted = true
    // whatever is under way fails then, and is cleaned up as after any failure
    void endAll()
  })
}

// everything that is started here puts its files below this
const dir = await mkdtemp(join(tmpdir(), 'shoal-demo-'))
process.env['TMPDIR'] = dir
try {
  await using stack = new AsyncDisposableStack()
  process.exitCode = (await demo(stack)) ? 0 : 1
} catch (error) {
  say(`\nThe demo itself failed: ${(error as Error).stack}`)
  process.exitCode = 1
} finally {
  await endAll()
  await rm(dir, { recursive: true, force: true, maxRetries: 10 })
  if (interrupted) process.exitCode = INTERRUPTED
}

/** @returns whether everything was as it should be */
async function demo(stack: AsyncDisposableStack): Promise<boolean> {
  const begun = performance.now()
  const origin = stack.adopt(await startDemoOrigin(), (one) => one.close())
  say(`Registry: ${origin.description}. It stands for Docker Hub here.`)
  const mirrors = [`http://127.0.0.1:${origin.proxy.port}`]
  const config = { origin: { registries: { 'docker.io': { mirrors } } } }
  const agent = stack.adopt(await AgentProcess.start({ config }), (one) => one.close())
  say(`Agent:    a mirror for the clients at ${agent.facade}, with an empty store.\n`)

  const runs: DemoRun[] = []
  const absent: string[] = []
  const show = async (client: ImageClient): Promise<void> => {
    const run = new DemoRun({ client, origin, say })
    runs.push(run)
    say(run.title)
    await run.whileRegistryRuns()
  }
  await show(new DemoPuller({ facade: agent.facade }))
  const upstreams = [{ registry: 'docker.io', address: NOWHERE }]
  for (const [name, kind] of CLIENTS) {
    if (interrupted) return false
    const client = kind.unavailable() ?? (await kind.start({ facade: agent.facade, upstreams }).catch(firstLine))
    if (typeof client === 'string') {
      absent.push(`${name}: ${client}`)
      continue
    }
    await show(stack.adopt(client, (one) => one.close()))
  }

  await origin.end()
  say('\nThe registry is ended: connecting to it is refused. Every client has removed its copy, and pulls once more.')
  for (const run of runs) await run.whenRegistryIsOff()

  say('\n$ shoal status')
  say((await agent.shoal('status')).trimEnd())
  say('\n$ shoal verify')
  say((await agent.shoal('verify')).trimEnd())
  const verified = (await agent.verify()).at(-1)
  const exitCode = await agent.stop()

  say(`\n${summary(runs)}`)
  for (const reason of absent) say(`Not shown: ${reason}`)
  const wrong = runs.flatMap((run) => run.wrong.map((what) => `${run.title}: ${what}`))
  if (verified?.type !== 'done' || verified.bad > 0) wrong.push(`the store is not right: ${JSON.stringify(verified)}`)
  if (exitCode !== 0) wrong.push(`the agent ended with ${exitCode}:\n${agent.log.slice(-2000)}`)
  for (const what of wrong) say(`WRONG: ${what}`)
  const seconds = Math.round((performance.now() - begun) / 1000)
  say(wrong.length === 0 ? `Everything was as it should be. (${seconds} s)` : `${wrong.length} steps were not right.`)
  return wrong.length === 0
}

function summary(runs: readonly DemoRun[]): string {
  const seconds = (measured: Measured | undefined): string =>
    measured === undefined ? 'FAILED' : showSeconds(measured)
  const bytes = (measured: Measured | undefined): string => (measured === undefined ? '' : formatBytes(measured.bytes))
  return table(
    ['client', 'first pull', 'from registry', 'again', 'from registry', 'registry off'],
    runs.map(({ title, pulls: { cold, again, off } }) => [
      title,
      seconds(cold),
      bytes(cold),
      seconds(again),
      bytes(again),
      off === undefined ? 'FAILED' : `ok, ${showSeconds(off)}`,
    ]),
    [1, 2, 3, 4, 5],
  )
}

function firstLine(error: Error): string {
  return `could not be started here: ${error.message.split('\n').slice(0, 2).join(' ')}`
}
