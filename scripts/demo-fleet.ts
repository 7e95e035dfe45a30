import { table } from '../src/cli/output.ts'
import type { Traffic } from '../src/facade/admin-api.ts'
import { formatBytes } from '../src/util/byte-size.ts'
import { raceAbort } from '../src/util/race-abort.ts'
import { AgentProcess } from '../test/fixtures/agent-process.ts'
import { Fleet } from '../test/fixtures/fleet.ts'
import { buildImage, type Image } from '../test/fixtures/image.ts'
import { pullImage } from '../test/fixtures/pull.ts'
import { showLiar } from './demo-liar.ts'
import { startDemoOrigin } from './demo-origin.ts'
import type { DemoReport } from './demo-report.ts'

const MIB = 1024 * 1024
const AGENTS = 8
const LAYERS = [44 * MIB, 24 * MIB, 16 * MIB, 10 * MIB, 2 * MIB]
const REPOSITORY = 'library/demo-fleet'
const HEAD = ['', 'pulled in', 'from registry', 'from peers', 'to peers']
const NUMBERS = [1, 2, 3, 4]
// on a host whose cores are busy elsewhere, agents are late with what they were to fetch and others fetch it too
const MAX_COPIES = 1.5
// far above what a busy host takes: a pull that is not done by then never ends
const PULL_MS = 180_000
const STATUS_MS = 5_000
const NOTHING: Traffic = { fromOrigin: 0, fromPeers: 0, wasted: 0, toPeers: 0 }

interface Pull {
  readonly name: string
  readonly seconds: number | undefined
  readonly traffic: Traffic
}

/** Eight hosts that pull at once, a ninth that comes when the registry has gone, and one that lies. */
export async function showFleet(report: DemoReport, signal: AbortSignal): Promise<void> {
  report.title(`A fleet: ${AGENTS} hosts and one registry`)
  await using stack = new AsyncDisposableStack()
  const origin = stack.adopt(await startDemoOrigin(), (one) => one.close())
  const image = await buildImage({ seed: `demo fleet ${Date.now()}`, layerBytes: LAYERS })
  await origin.push(image, REPOSITORY)
  report.say(`Registry: ${origin.description}. It stands for Docker Hub here.`)
  const size = `${formatBytes(image.pullBytes)} in ${LAYERS.length} layers`
  report.say(`Image:    docker.io/${REPOSITORY}, ${size}, is in the registry and nowhere else.`)

  const mirrors = [`http://127.0.0.1:${origin.proxy.port}`]
  const sections = { origin: { patience: '1s', registries: { 'docker.io': { mirrors } } } }
  const start = (swarm: object, preload?: string): Promise<AgentProcess> =>
    AgentProcess.start({ config: { ...sections, swarm }, ...(preload !== undefined && { preload }) })
  const fleet = stack.use(await Fleet.start({ count: AGENTS, start: (swarm) => start(swarm) }))
  report.say(`Agents:   ${AGENTS} processes with empty stores; they share a secret and know the first one's address.\n`)
  const pull = (agent: AgentProcess, name: string): Promise<Pull> => pullOnce(agent, name, image, report)

  signal.throwIfAborted()
  report.say(`${AGENTS} clients, one on each host, pull it at the same moment:\n`)
  const pulls = await Promise.all(fleet.agents.map((agent, index) => pull(agent, `agent ${index + 1}`)))
  const copies = origin.proxy.bytesOut / image.pullBytes
  report.say(showPulls(pulls))
  report.say(`The registry has sent ${copies.toFixed(2)} copies for ${AGENTS} hosts; without Shoal it sends ${AGENTS}.`)
  if (copies <= MAX_COPIES) report.say(`Check: at most ${MAX_COPIES} copies: ok`)
  else
    report.fail(
      `${copies.toFixed(2)} copies, where at most ${MAX_COPIES} were to be sent; is this host busy otherwise?`,
    )

  signal.throwIfAborted()
  await origin.end()
  report.say('\nThe registry is ended: connecting to it is refused. A ninth host joins, and pulls by tag:\n')
  report.say(showPulls([await pull(await fleet.add(), 'agent 9')]))

  signal.throwIfAborted()
  await showLiar({ fleet, report, pull: async (agent, name) => showPulls([await pull(agent, name)]) }, { start })
}

/** A failure is said at once, and is no end. */
async function pullOnce(agent: AgentProcess, name: string, image: Image, report: DemoReport): Promise<Pull> {
  let seconds: number | undefined
  try {
    const pulled = await raceAbort(
      pullImage({ facade: agent.facade }, REPOSITORY, 'latest'),
      AbortSignal.timeout(PULL_MS),
    )
    seconds = pulled.seconds
    if (pulled.config !== image.own.config) report.fail(`${name} pulled another image: ${pulled.config}`)
  } catch (error) {
    report.fail(`${name}: ${(error as Error).message}`)
  }
  return { name, seconds, traffic: await trafficOf(agent, report) }
}

async function trafficOf(agent: AgentProcess, report: DemoReport): Promise<Traffic> {
  try {
    return (await raceAbort(agent.status(), AbortSignal.timeout(STATUS_MS))).traffic
  } catch (error) {
    report.fail(`an agent does not say what it did: ${(error as Error).message}`)
    return NOTHING
  }
}

function showPulls(pulls: readonly Pull[]): string {
  const cells = (name: string, seconds: string, of: (one: keyof Traffic) => number): string[] => [
    name,
    seconds,
    formatBytes(of('fromOrigin')),
    formatBytes(of('fromPeers')),
    formatBytes(of('toPeers')),
  ]
  const rows = pulls.map(({ name, seconds, traffic }) =>
    cells(name, seconds === undefined ? 'FAILED' : `${seconds.toFixed(2)} s`, (one) => traffic[one]),
  )
  if (pulls.length > 1) {
    rows.push(cells('together', '', (one) => pulls.reduce((sum, { traffic }) => sum + traffic[one], 0)))
  }
  return table(HEAD, rows, NUMBERS)
}
