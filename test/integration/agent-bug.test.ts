import { describe, expect, it } from 'vitest'
import { AgentProcess } from '../fixtures/agent-process.ts'

const PRELOAD = new URL('../fixtures/bug-preload.ts', import.meta.url).href

describe('an agent that meets what nobody has caught', () => {
  it.each([
    ['SIGUSR2', 'unhandledRejection', 'planted rejection'],
    ['SIGWINCH', 'uncaughtException', 'planted exception'],
  ] as const)('says so in its log and ends with 1 (%s, %s)', async (signal, event, message) => {
    const agent = await AgentProcess.start({ preload: PRELOAD })
    try {
      process.kill(agent.pid, signal)
      expect(await agent.ended()).toBe(1)
      const line = agent.log.split('\n').find((one) => one.includes('a bug: the agent ends'))
      expect(JSON.parse(line ?? '')).toMatchObject({ level: 50, event, err: { message } })
      await agent.restart({})
      expect((await agent.status()).ready).toBe(true)
    } finally {
      await agent.close()
    }
  })
})
