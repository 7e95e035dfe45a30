import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentProcess } from '../fixtures/agent-process.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'

const POLL_MS = 20
const OLD = 'the secret that everybody had before'
const NEW = 'the secret that everybody gets now, one after the other'

async function metric(agent: AgentProcess, line: string): Promise<string | undefined> {
  const text = await (await fetch(`${agent.adminUrl}/metrics`)).text()
  return text.split('\n').find((one) => one.startsWith(line))
}

describe('an agent that is sent SIGHUP', () => {
  let origin: FaultOrigin
  let agent: AgentProcess
  const config = () => ({
    origin: { default: origin.registry, registries: { [origin.registry]: { plainHttp: true } } },
    log: { level: 'info' },
  })

  beforeAll(async () => {
    origin = await FaultOrigin.start()
    agent = await AgentProcess.start({ config: config() })
  })
  afterAll(async () => {
    await agent.close()
    await origin[Symbol.asyncDispose]()
  })

  const ask = async (): Promise<number> => (await fetch(`${agent.facadeUrl}/v2/team/app/tags/list`)).status

  it('takes over what can change, names what needs a restart, and goes on', async () => {
    const { pid } = agent
    const before = await ask()
    const line = await agent.reload({
      ...config(),
      facade: { idleClient: '7s', drain: '2s' },
      store: { quota: '12MiB' },
      origin: { ...config().origin, allow: ['elsewhere.test'] },
    })
    expect(line).toMatchObject({
      level: 40,
      applied: ['store.quota', 'origin.allow'],
      needRestart: ['facade.idleClient'],
      secret: 'none',
    })
    expect((await agent.status()).store.quotaBytes).toBe(12 * 1024 ** 2)
    expect(agent.pid).toBe(pid)
    expect(await ask()).toBe(404)
    expect(await agent.reload(config())).toMatchObject({ level: 30, applied: ['store.quota', 'origin.allow'] })
    expect(await ask()).toBe(before)
    expect(await metric(agent, 'shoal_config_reloads_total{outcome="applied"}')).toMatch(/ 2$/)
  })

  it('keeps the old configuration when the new one is wrong, and says why', async () => {
    for (const [text, why] of [
      ['store: { quota: lots }', 'store.quota: expected a size'],
      ['store: {', 'is not YAML'],
      ['stroe: {}', 'did you mean store?'],
      ['swarm: { secret: 0123456789abcdef0123 }\norigin: { registries: { a.test: { ca: /none } } }', '/none'],
    ] as const) {
      const line = await agent.reload(text)
      expect(line).toMatchObject({ level: 50, err: { code: 'CONFIG_INVALID' } })
      expect(JSON.stringify(line)).toContain(why)
      expect(JSON.stringify(line)).not.toContain('0123456789abcdef0123')
    }
    expect(await metric(agent, 'shoal_config_reloads_total{outcome="refused"}')).toMatch(/ 4$/)
    expect((await agent.status()).ready).toBe(true)
    expect(await agent.reload(config())).toMatchObject({ applied: [], needRestart: [] })
  })
})

describe('three agents whose secret is changed by files and SIGHUP', () => {
  let dir: string
  const agents: AgentProcess[] = []
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-secrets-'))
    for (let index = 0; index < 3; index++) {
      await writeSecrets(index, OLD)
      agents.push(await AgentProcess.start({ config: await configOf(index, false) }))
    }
    await connected()
  })
  afterAll(async () => {
    await Promise.all(agents.map((agent) => agent.close()))
    await rm(dir, { recursive: true })
  })

  async function writeSecrets(index: number, secret: string, previous?: string): Promise<void> {
    await writeFile(join(dir, `secret-${index}`), `${secret}\n`)
    if (previous !== undefined) await writeFile(join(dir, `previous-${index}`), `${previous}\n`)
  }

  async function configOf(index: number, hasPrevious: boolean): Promise<Record<string, object>> {
    const bootstrap = index === 0 ? [] : ((await agents[0]?.status())?.listening.swarm.slice(0, 1) ?? [])
    const previous = hasPrevious ? { previousSecretFile: join(dir, `previous-${index}`) } : {}
    return { swarm: { secretFile: join(dir, `secret-${index}`), bootstrap, ...previous }, log: { level: 'info' } }
  }

  async function connected(): Promise<void> {
    for (const end = performance.now() + 15_000; ; await pause(POLL_MS)) {
      const counts = await Promise.all(agents.map(async (agent) => (await agent.status()).swarm?.connected))
      if (counts.every((count) => count === 2)) return
      if (performance.now() > end) throw new Error(`connected with ${counts.join(' ')}`)
    }
  }

  it('are one swarm at every step, and have the new secret in the end', async () => {
    for (const [index, agent] of agents.entries()) {
      await writeSecrets(index, NEW, OLD)
      expect(await agent.reload(await configOf(index, true))).toMatchObject({ secret: 'changed' })
      await connected()
    }
    for (const [index, agent] of agents.entries()) {
      expect(await agent.reload(await configOf(index, false))).toMatchObject({
        applied: ['swarm.previousSecretFile'],
        secret: 'changed',
      })
      await connected()
    }
    for (const agent of agents) {
      expect(agent.log).not.toContain(OLD)
      expect(agent.log).not.toContain(NEW)
    }
  })
})
