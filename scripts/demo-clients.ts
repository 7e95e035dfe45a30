import { table } from '../src/cli/output.ts'
import { formatBytes } from '../src/util/byte-size.ts'
import { AgentProcess } from '../test/fixtures/agent-process.ts'
import type { ClientInit, ImageClient } from '../test/fixtures/client.ts'
import { ContainerdClient } from '../test/fixtures/client-containerd.ts'
import { DockerClient } from '../test/fixtures/client-docker.ts'
import { PodmanClient } from '../test/fixtures/client-podman.ts'
import { SkopeoClient } from '../test/fixtures/client-skopeo.ts'
import { startDemoOrigin } from './demo-origin.ts'
import { DemoPuller } from './demo-puller.ts'
import type { DemoReport } from './demo-report.ts'
import { DemoRun, type Measured, showSeconds } from './demo-run.ts'

const CLIENTS: readonly [name: string, kind: ClientKind][] = [
  ['docker', DockerClient],
  ['containerd', ContainerdClient],
  ['podman', PodmanClient],
  ['skopeo', SkopeoClient],
]
// nothing listens there: whatever a client gets, it gets from the agent
const NOWHERE = '127.0.0.1:9'

interface ClientKind {
  unavailable(): string | undefined
  start(init: ClientInit): Promise<ImageClient>
}

/** One agent, and the clients that are installed here: each pulls cold, again, and with the registry ended. */
export async function showClients(report: DemoReport, signal: AbortSignal): Promise<void> {
  report.title('One host, and the clients that are installed on it')
  await using stack = new AsyncDisposableStack()
  const origin = stack.adopt(await startDemoOrigin(), (one) => one.close())
  report.say(`Registry: ${origin.description}. It stands for Docker Hub here.`)
  const mirrors = [`http://127.0.0.1:${origin.proxy.port}`]
  const config = { origin: { registries: { 'docker.io': { mirrors } } } }
  const agent = stack.adopt(await AgentProcess.start({ config }), (one) => one.close())
  report.say(`Agent:    a mirror for the clients at ${agent.facade}, with an empty store.\n`)

  const runs: DemoRun[] = []
  const absent: string[] = []
  const say = (line: string): void => report.say(line)
  const show = async (client: ImageClient): Promise<void> => {
    const run = new DemoRun({ client, origin, say })
    runs.push(run)
    say(run.title)
    await run.whileRegistryRuns()
  }
  await show(new DemoPuller({ facade: agent.facade }))
  const upstreams = [{ registry: 'docker.io', address: NOWHERE }]
  for (const [name, kind] of CLIENTS) {
    signal.throwIfAborted()
    const client = kind.unavailable() ?? (await kind.start({ facade: agent.facade, upstreams }).catch(firstLine))
    if (typeof client === 'string') absent.push(`${name}: ${client}`)
    else await show(stack.adopt(client, (one) => one.close()))
  }

  await origin.end()
  say('\nThe registry is ended: connecting to it is refused. Every client has removed its copy, and pulls once more.')
  for (const run of runs) await run.whenRegistryIsOff()
  say('\n$ shoal verify')
  say((await agent.shoal('verify')).trimEnd())
  const verified = (await agent.verify()).at(-1)
  const exitCode = await agent.stop()

  say(`\n${summary(runs)}`)
  for (const reason of absent) say(`Not shown: ${reason}`)
  for (const run of runs) for (const what of run.wrong) report.fail(`${run.title}: ${what}`)
  if (verified?.type !== 'done' || verified.bad > 0) report.fail(`the store is not right: ${JSON.stringify(verified)}`)
  if (exitCode !== 0) report.fail(`the agent ended with ${exitCode}:\n${agent.log.slice(-2000)}`)
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
