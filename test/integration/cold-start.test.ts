/**
 * Agents that want the same at the same moment: every pull succeeds, whoever misbehaves, and the origin is asked for little more than
 * one copy. Copies are bounded with a margin for a machine that is busy: an agent that is late goes to the origin without leave.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nearestTo } from '../../src/swarm/discovery/nearest.ts'
import type { WireMessage } from '../../src/swarm/protocol/wire-messages.ts'
import { TestBlob } from '../fakes/fake-content.ts'
import { Adversary } from '../fixtures/adversary/adversary.ts'
import { stallsAtOnce } from '../fixtures/adversary/lane-scripts.ts'
import { AgentProcess } from '../fixtures/agent-process.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { Fleet, type FleetAgent } from '../fixtures/fleet.ts'
import { pullBlob } from '../fixtures/pull.ts'
import { randomBytesOf } from '../fixtures/random-bytes.ts'
import { TestAgent } from '../fixtures/test-agent.ts'

const BYTES = 8 * 1024 * 1024
const CHUNK_BYTES = 256 * 1024
const RATE = 8 * 1024 * 1024
const BLOBS = /\/blobs\//
const options = { timeout: 60_000 }

const blobOf = (seed: string): TestBlob => new TestBlob(randomBytesOf(`cold start ${seed}`, BYTES - 1_000))

/** An origin whose requests take their time, so that pulls overlap. */
async function slowOrigin(): Promise<FaultOrigin> {
  const origin = await FaultOrigin.start()
  origin.inject({ fault: { kind: 'slow', bytesPerSecond: RATE }, match: { path: BLOBS }, times: Infinity })
  return origin
}

function startFleet(origin: FaultOrigin, count: number): Promise<Fleet<FleetAgent>> {
  return Fleet.start<FleetAgent>({ count, start: (swarm) => TestAgent.start({ origins: [origin.registry], swarm }) })
}

function pull({ facade }: FleetAgent, { digest }: TestBlob): Promise<unknown> {
  return pullBlob(`http://${facade}/v2/app/blobs/${digest}`, digest)
}

async function pullAll(agents: readonly FleetAgent[], ...blobs: readonly TestBlob[]): Promise<void> {
  await Promise.all(agents.flatMap((agent) => blobs.map((blob) => pull(agent, blob))))
}

const copies = (origin: FaultOrigin, { digest, bytes }: TestBlob): number =>
  origin.egressBytes(new RegExp(digest)) / bytes.length

const sentOf = (origin: FaultOrigin, { digest }: TestBlob): number => origin.egressBytes(new RegExp(digest))

async function idOf(agent: FleetAgent): Promise<string> {
  const { swarm } = await agent.status()
  return swarm?.id ?? ''
}

/** One that the origin has, and that this agent is the nearest to. */
async function blobNear(id: string, fleet: Fleet<FleetAgent>, origin: FaultOrigin): Promise<TestBlob> {
  const ids = [...(await Promise.all(fleet.agents.map(idOf))), id]
  for (let attempt = 0; ; attempt++) {
    const blob = blobOf(`near ${attempt}`)
    if (nearestTo(blob.digest, ids, 1)[0] !== id) continue
    origin.addBlob(blob.bytes)
    return blob
  }
}

/** Chunks of which the origin has sent every byte. */
function chunksOut(origin: FaultOrigin, { digest, hashes }: TestBlob): number {
  const out = new Set<number>()
  for (const { headers, bodyBytes } of origin.requestsFor(new RegExp(digest))) {
    const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0)
    const end = from + bodyBytes
    const isLast = end >= BYTES - 1_000
    for (let chunk = Math.ceil(from / CHUNK_BYTES); chunk < hashes.length; chunk++) {
      if ((chunk + 1) * CHUNK_BYTES <= end || (chunk === hashes.length - 1 && isLast)) out.add(chunk)
    }
  }
  return out.size
}

describe('a cold start of six agents', () => {
  let origin: FaultOrigin
  let fleet: Fleet<FleetAgent>
  beforeAll(async () => {
    origin = await slowOrigin()
    fleet = await startFleet(origin, 6)
  }, 60_000)
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]()
    await origin.close()
  })

  it('takes little more than one copy from the origin', options, async () => {
    const blob = blobOf('plain')
    origin.addBlob(blob.bytes)
    await pullAll(fleet.agents, blob)
    expect(copies(origin, blob)).toBeLessThan(1.5)
  })

  it('does without the origin as soon as that has sent one copy', options, async () => {
    const blob = blobOf('one copy')
    origin.addBlob(blob.bytes)
    const pulls = pullAll(fleet.agents, blob)
    await origin.until(() => chunksOut(origin, blob) === blob.hashes.length)
    // what was sent has to be read before the connections are gone
    await origin.until(() => origin.requestsFor(BLOBS).every(({ ended }) => ended))
    await origin.goOffline()
    await pulls
    await origin.goOnline()
    expect(copies(origin, blob)).toBeLessThan(1.75)
  })

  it('gets all from an origin that refuses more than three requests at a time', options, async () => {
    const running = (): number => origin.requestsFor(BLOBS).filter(({ status, ended }) => status < 400 && !ended).length
    const refusal = { kind: 'status', status: 429, headers: { 'retry-after': '1' } } as const
    const refused = origin.inject({
      fault: refusal,
      match: { path: BLOBS, when: () => running() > 3 },
      times: Infinity,
    })
    const blob = blobOf('refuses')
    origin.addBlob(blob.bytes)
    await pullAll(fleet.agents, blob)
    refused.release()
    expect(refused.hits).toBeGreaterThan(0)
    expect(copies(origin, blob)).toBeLessThan(1.75)
  })

  it('asks the origin only for the layers that nobody has', options, async () => {
    const old = [blobOf('old layer 1'), blobOf('old layer 2')]
    const fresh = [blobOf('new layer 1'), blobOf('new layer 2')]
    for (const { bytes } of [...old, ...fresh]) origin.addBlob(bytes)
    await pullAll(fleet.agents.slice(0, 1), ...old)
    await pullAll(fleet.agents.slice(0, 3), ...old)
    await pullAll(fleet.agents, ...old, ...fresh)
    for (const blob of old) expect(copies(origin, blob)).toBeLessThan(1.5)
    for (const blob of fresh) expect(copies(origin, blob)).toBeLessThan(1.75)
  })

  it('is joined again by an agent that is restarted in the middle', options, async () => {
    const blob = blobOf('restart')
    origin.addBlob(blob.bytes)
    const restarted = fleet.at(3)
    if (!(restarted instanceof TestAgent)) throw new Error('not in this process')
    const cut = pull(restarted, blob).catch(() => {})
    const pulls = pullAll(
      fleet.agents.filter((agent) => agent !== restarted),
      blob,
    )
    await origin.until(() => sentOf(origin, blob) > BYTES / 4)
    await restarted.restart()
    await pull(restarted, blob)
    await pulls
    await cut
    expect(copies(origin, blob)).toBeLessThan(1.75)
  })
})

it('a cold start goes on when the coordinator is killed with leases out', options, async () => {
  await using origin = await slowOrigin()
  await using fleet = await startFleet(origin, 4)
  const config = { origin: { default: origin.registry, registries: { [origin.registry]: { plainHttp: true } } } }
  const start = (swarm: object): Promise<AgentProcess> => AgentProcess.start({ config: { ...config, swarm } })
  const coordinator = await fleet.add(start)
  if (!(coordinator instanceof AgentProcess)) throw new Error('no process')
  const others = fleet.agents.filter((agent) => agent !== coordinator)
  await fleet.connected()
  const blob = await blobNear(await idOf(coordinator), fleet, origin)
  const own = pull(coordinator, blob).catch(() => {})
  const pulls = pullAll(others, blob)
  await origin.until(() => sentOf(origin, blob) > BYTES / 4)
  await coordinator.kill()
  await pulls
  await own
  expect(copies(origin, blob)).toBeLessThan(1.75)
})

describe('a cold start with a member that means no good', () => {
  it.each<[string, 'right' | 'wrong']>([
    ['says that it has all, and gives nothing', 'right'],
    ['claims false hashes for all, and gives nothing', 'wrong'],
  ])('that %s ends with the right bytes', options, async (_what, hashes) => {
    await using origin = await slowOrigin()
    await using fleet = await startFleet(origin, 3)
    await using adversary = await Adversary.join(fleet)
    const blob = blobOf(`claims ${hashes}`)
    origin.addBlob(blob.bytes)
    const stated = hashes === 'right' ? blob.hashes : blob.hashes.map((hash) => hash.replaceAll('0', '1'))
    await adversary.offer({ blob, states: 'claim', hashes: stated, gives: stallsAtOnce })
    await pullAll(fleet.agents, blob)
    expect(adversary.wantedBy(blob.digest)).toBeGreaterThan(0)
    expect(copies(origin, blob)).toBeLessThan(2.5)
  })

  it.each<[string, Partial<Extract<WireMessage, { type: 'leased' }>>]>([
    ['grants nothing', { ranges: [], forMs: 5_000 }],
    ['grants what does not exist', { ranges: [{ from: 1_000, to: 2_000 }], forMs: 1_000 }],
    ['grants everything to everybody', { ranges: [{ from: 0, to: BYTES / CHUNK_BYTES }], forMs: 10_000 }],
  ])('and is the coordinator, and %s, ends with the right bytes', options, async (_what, answer) => {
    await using origin = await slowOrigin()
    await using fleet = await startFleet(origin, 3)
    await using adversary = await Adversary.join(fleet)
    const blob = await blobNear(adversary.id, fleet, origin)
    let serial = 0
    adversary.onMessage = (peer, message) => {
      if (message.type === 'want') {
        const { digest, registry } = message
        adversary.protocol.send(peer, { type: 'none', digest, registry })
      } else if (message.type === 'lease') {
        const { digest, registry } = message
        serial += 1
        const lease = { ranges: [], forMs: 0, ...answer, members: 5, serial, nearer: [] }
        adversary.protocol.send(peer, { type: 'leased', digest, registry, ...lease })
      }
    }
    await pullAll(fleet.agents, blob)
    expect(adversary.heardOf('lease')).toBeGreaterThan(0)
    // asks are paused when nothing comes of them
    expect(adversary.heardOf('lease')).toBeLessThan(2_000)
    expect(copies(origin, blob)).toBeLessThan(fleet.agents.length + 0.5)
  })
})
