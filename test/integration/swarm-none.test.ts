/** Agents that nobody gave a secret, a list of peers or an open swarm. */
import { expect, it } from 'vitest'
import { TestAgent } from '../fixtures/test-agent.ts'

it('listens to no peer, not even on this host, and still says who it is', async () => {
  await using agent = await TestAgent.start({ origins: [], swarm: {} })
  const { listening, swarm } = await agent.status()
  expect([listening.swarm, listening.lane]).toEqual([[], []])
  expect(swarm?.id).toMatch(/^12D3Koo/)
})

it('listens where the swarm is open', async () => {
  await using agent = await TestAgent.start({ origins: [], swarm: { open: true } })
  const { listening } = await agent.status()
  expect([listening.swarm, listening.lane]).toEqual([[expect.any(String)], [expect.any(String)]])
})
