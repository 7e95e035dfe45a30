import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { Fleet } from '../fixtures/fleet.ts'
import { pullBlob } from '../fixtures/pull.ts'
import { TestAgent } from '../fixtures/test-agent.ts'

const BYTES = 3 * 1024 * 1024

it('an agent without a swarm says so, and counts what came from the registry', async () => {
  await using origin = await FaultOrigin.start()
  const digest = origin.addBlob(randomBytes(BYTES))
  await using agent = await TestAgent.start({ origins: [origin.registry] })
  await pullBlob(agent.url(`/v2/app/blobs/${digest}`), digest)
  const status = await agent.status()
  expect(status.swarm).toBeUndefined()
  expect(status.listening).toMatchObject({ swarm: [], lane: [] })
  expect(status.traffic).toEqual({ fromOrigin: BYTES, fromPeers: 0, wasted: 0, toPeers: 0 })
  expect(await agent.peers()).toEqual({ peers: [], bans: [] })
})

it('agents of a fleet see each other, and what each got from whom', async () => {
  await using origin = await FaultOrigin.start()
  const digest = origin.addBlob(randomBytes(BYTES))
  await using fleet = await Fleet.start({
    count: 3,
    start: (swarm) =>
      TestAgent.start({ origins: [origin.registry], swarm: { ...swarm, zone: 'rack 7', headStart: '3s' } }),
  })
  const [taker, ...givers] = [fleet.at(2), fleet.at(0), fleet.at(1)]
  const url = (agent: TestAgent): string => agent.url(`/v2/app/blobs/${digest}`)
  for (const giver of givers) {
    await pullBlob(url(giver), digest)
    await giver.idle()
  }
  await pullBlob(url(taker), digest)
  await taker.idle()

  const taken = await taker.status()
  expect(taken.swarm).toMatchObject({ connected: 2, banned: 0 })
  expect(taken.traffic).toMatchObject({ fromOrigin: 0, toPeers: 0 })
  expect(taken.traffic.fromPeers - taken.traffic.wasted).toBe(BYTES)
  const { peers, bans } = await taker.peers()
  expect(bans).toEqual([])
  expect(new Set(peers.map(({ id }) => id))).toEqual(new Set(await idsOf(givers)))
  expect(sum(peers.map(({ receivedBytes }) => receivedBytes))).toBe(taken.traffic.fromPeers)
  const views = await Promise.all(givers.map((giver) => giver.peers()))
  const ofTaker = views.flatMap((view) => view.peers).filter(({ id }) => id === taken.swarm?.id)
  expect(ofTaker).toMatchObject(Array.from(givers, () => ({ isConnected: true, zone: 'rack 7' })))
  expect(sum(ofTaker.map(({ sentBytes }) => sentBytes))).toBeGreaterThanOrEqual(BYTES)
})

it('agents show each other where they listen, whoever of them connected', async () => {
  await using fleet = await Fleet.start({ count: 3, start: (swarm) => TestAgent.start({ origins: [], swarm }) })
  const statuses = await Promise.all(fleet.agents.map((agent) => agent.status()))
  const listening = statuses.map(({ listening }) => listening.swarm[0] ?? '')
  for (const [index, agent] of fleet.agents.entries()) {
    const seen = async (): Promise<string[]> => (await agent.peers()).peers.map(({ address }) => address).toSorted()
    // what they tell of themselves comes after the connection
    await expect.poll(seen).toEqual(listening.toSpliced(index, 1).toSorted())
  }
})

async function idsOf(agents: readonly TestAgent[]): Promise<(string | undefined)[]> {
  return Promise.all(agents.map(async (agent) => (await agent.status()).swarm?.id))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
