/**
 * Agents are killed and started again at random while clients pull. `SHOAL_TEST_CHURN_SECONDS` says for how long, `SHOAL_TEST_SEED`
 * repeats a run as far as its choices go; the processes' timing is their own.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { TestBlob } from '../fakes/fake-content.ts'
import { blobOf } from '../fixtures/adversary/false-blob.ts'
import { WatchedPulls } from '../fixtures/adversary/watched-pulls.ts'
import { AgentProcess } from '../fixtures/agent-process.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { Fleet } from '../fixtures/fleet.ts'
import { SeededRandom, testSeed } from '../fixtures/seeded-random.ts'

const AGENTS = 12
const CHURN_MS = 1_000 * Number(process.env['SHOAL_TEST_CHURN_SECONDS'] ?? 20)
const DEAD_AT_ONCE = 3
const CLIENTS = 3
const KNOWN_CONNECTIONS = 6
const ORIGIN_RATE = 8 * 1024 * 1024

/** What the killer and the clients have to know of one agent. */
interface Place {
  readonly agent: AgentProcess
  isUp: boolean
  /** How often it was killed. */
  deaths: number
}

it('every pull from an agent that lives ends with the right bytes, whoever else is killed', {
  timeout: CHURN_MS + 180_000,
}, async () => {
  const seed = testSeed()
  process.stdout.write(`swarm-churn: SHOAL_TEST_SEED=${seed}\n`)
  await using origin = await FaultOrigin.start()
  const match = { method: 'GET', path: /\/blobs\// }
  origin.inject({ fault: { kind: 'slow', bytesPerSecond: ORIGIN_RATE }, match, times: Infinity })
  const config = { origin: { default: origin.registry, registries: { [origin.registry]: { plainHttp: true } } } }
  await using fleet = await Fleet.start({
    count: AGENTS,
    connections: KNOWN_CONNECTIONS,
    start: (swarm) => AgentProcess.start({ config: { ...config, swarm } }),
  })
  const churn = new Churn({ origin, agents: fleet.agents }, { seed })
  await churn.run(CHURN_MS)
  const { wrongBytes, failures, whole } = churn.pulls
  process.stdout.write(`swarm-churn: ${whole} pulls, ${churn.deaths} kills\n`)
  expect({ wrongBytes, failures }).toEqual({ wrongBytes: 0, failures: [] })
  expect(churn.deaths).toBeGreaterThan(CHURN_MS / 8_000)
  expect(whole).toBeGreaterThan(CHURN_MS / 2_000)
  await churn.pullAllEverywhere()
  const statuses = await Promise.all(fleet.agents.map((agent) => agent.status()))
  expect(statuses.map(({ swarm }) => swarm?.banned)).toEqual(statuses.map(() => 0))
  expect(statuses.reduce((sum, { traffic }) => sum + traffic.fromPeers, 0)).toBeGreaterThan(0)
})

class Churn {
  readonly pulls = new WatchedPulls()
  readonly #places: readonly Place[]
  readonly #origin: FaultOrigin
  readonly #seed: number
  readonly #blobs: TestBlob[] = []

  constructor(
    { origin, agents }: { origin: FaultOrigin; agents: readonly AgentProcess[] },
    { seed }: { seed: number },
  ) {
    this.#origin = origin
    this.#seed = seed
    this.#places = agents.map((agent) => ({ agent, isUp: true, deaths: 0 }))
  }

  get deaths(): number {
    return this.#places.reduce((sum, { deaths }) => sum + deaths, 0)
  }

  async run(ms: number): Promise<void> {
    const until = performance.now() + ms
    const clients = Array.from({ length: CLIENTS }, (_, index) =>
      this.#beClient(until, new SeededRandom(this.#seed + index)),
    )
    const killers = Array.from({ length: DEAD_AT_ONCE }, (_, index) =>
      this.#kill(until, new SeededRandom(this.#seed + CLIENTS + index)),
    )
    await Promise.all([...clients, ...killers])
  }

  /** When all live again: whatever state the kills have left, everything can be had from everyone. */
  async pullAllEverywhere(): Promise<void> {
    const last = new WatchedPulls()
    for (const blob of this.#blobs.slice(-3)) {
      await Promise.all(this.#places.map(({ agent }) => last.pull(urlOf(agent, blob), blob)))
    }
    last.check(Math.min(3, this.#blobs.length) * this.#places.length)
  }

  async #beClient(until: number, random: SeededRandom): Promise<void> {
    while (performance.now() < until) {
      const place = random.pick(this.#places.filter(({ isUp }) => isUp))
      const blob = this.#blobFor(random)
      if (place === undefined) continue
      const { deaths } = place
      const failures = this.pulls.failures.length
      const isWhole = await this.pulls.pull(urlOf(place.agent, blob), blob)
      // what the client of a killed agent sees is a cut
      if (!isWhole && place.deaths > deaths) this.pulls.failures.splice(failures, 1)
    }
  }

  /** A new one now and then, for several clients to come to. */
  #blobFor(random: SeededRandom): TestBlob {
    const known = this.#blobs.slice(-4)
    const isNew = known.length === 0 || random.below(4) === 0
    const blob = isNew ? blobOf(`churn ${this.#seed} ${this.#blobs.length}`, 4 + random.below(12)) : random.pick(known)
    if (blob === undefined) throw new Error('nothing to pull')
    if (isNew) {
      this.#origin.addBlob(blob.bytes)
      this.#blobs.push(blob)
    }
    return blob
  }

  async #kill(until: number, random: SeededRandom): Promise<void> {
    while (performance.now() < until) {
      await pause(random.below(1_000))
      const place = random.pick(this.#places.filter(({ isUp }) => isUp))
      if (place === undefined) continue
      place.isUp = false
      place.deaths += 1
      await place.agent.kill()
      await pause(random.below(1_000))
      await place.agent.restart()
      place.isUp = true
    }
  }
}

function urlOf(agent: AgentProcess, { digest }: TestBlob): string {
  return `${agent.facadeUrl}/v2/app/blobs/${digest}`
}
