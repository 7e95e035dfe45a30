import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { shortId } from '../src/facade/page/short-id.js'
import type { AgentProcess } from '../test/fixtures/agent-process.ts'
import type { Fleet } from '../test/fixtures/fleet.ts'
import type { DemoReport } from './demo-report.ts'

const LIAR = fileURLToPath(new URL('../test/fixtures/liar-preload.ts', import.meta.url))
const BANNED_MS = 15_000
const POLL_MS = 50
const SHOWN = 2

interface LiarComponents {
  readonly fleet: Fleet<AgentProcess>
  readonly report: DemoReport
  /** @returns what to show of it */
  readonly pull: (agent: AgentProcess, name: string) => Promise<string>
}

/** An agent that knows the secret, has the image, and gives other bytes away, with a signed map that fits them. */
export async function showLiar(
  { fleet, report, pull }: LiarComponents,
  { start }: { start: (swarm: object, preload?: string) => Promise<AgentProcess> },
): Promise<void> {
  const honest = [...fleet.agents]
  const liar = await fleet.add((swarm) => start(swarm, LIAR))
  const id = (await liar.status()).swarm?.id ?? 'no swarm'
  report.say(`Now a liar joins, ${shortId(id)}. It knows the secret, and pulls the image as the others did:\n`)
  report.say(await pull(liar, 'the liar'))
  report.say(
    'What it gives to peers is wrong from now on, and it signs chunk hashes that fit. An honest agent pulls:\n',
  )
  const last = await fleet.add()
  report.say(await pull(last, 'agent 10'))

  const without = await banningAgents([...honest, last], id)
  if (without.length > 0) report.fail(`${without.length} of ${honest.length + 1} agents have not shut out the liar`)
  for (const agent of [last, ...honest].slice(0, SHOWN)) {
    report.say(`$ shoal peers --admin ${agent.adminUrl}`)
    report.say(await agent.shoal('peers'))
  }
  const connected = (await liar.status()).swarm?.connected ?? 0
  report.say(`${honest.length + 1 - without.length} agents have shut it out; it is connected with ${connected}.`)
}

/** Waits until all have shut out the peer. @returns those that have not when it takes too long */
async function banningAgents(agents: readonly AgentProcess[], id: string): Promise<AgentProcess[]> {
  const deadline = performance.now() + BANNED_MS
  let waiting = [...agents]
  for (;;) {
    const answers = await Promise.all(waiting.map((agent) => agent.peers()))
    waiting = waiting.filter((_, index) => !answers[index]?.bans.some(({ peer }) => peer === id))
    if (waiting.length === 0 || performance.now() > deadline) return waiting
    await pause(POLL_MS)
  }
}
