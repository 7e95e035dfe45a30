/** `shoal doctor` against real agents, well and with one fault each. */

import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import { loadConfig } from '../../src/config.ts'
import type { NamedResult } from '../../src/doctor/check.ts'
import { type HostView, systemHostView } from '../../src/doctor/host-view.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { Fleet } from '../fixtures/fleet.ts'
import { TestAgent } from '../fixtures/test-agent.ts'

let root: string
let origin: FaultOrigin
let fleet: Fleet<TestAgent>
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal-doctor-'))
  origin = await FaultOrigin.start()
  fleet = await Fleet.start({
    count: 3,
    start: (swarm) => TestAgent.start({ origins: [origin.registry], swarm }),
  })
})
afterAll(async () => {
  await fleet[Symbol.asyncDispose]()
  await origin.close()
  await rm(root, { recursive: true })
})

interface Examined {
  readonly code: number
  readonly checks: Readonly<Record<string, NamedResult>>
  readonly text: string
}

interface ExamineOptions {
  readonly keys?: Readonly<Record<string, string>>
  readonly host?: Partial<HostView>
  readonly version?: string
}

/** What it says as JSON, and in lines. @param agent undefined: the one at a port where nobody is */
async function examine(
  agent: TestAgent | undefined,
  { keys = {}, host, version = '0.0.0-test' }: ExamineOptions = {},
): Promise<Examined> {
  const outputs: string[] = []
  let code = 0
  const flags = Object.entries({
    'admin.listen': agent === undefined ? `127.0.0.1:${await freePort()}` : new URL(agent.adminUrl('/')).host,
    'facade.listen': agent === undefined ? `127.0.0.1:${await freePort()}` : agent.facade,
    'store.dir': agent?.dir ?? join(root, 'store'),
    'origin.default': origin.registry,
    [`origin.registries."${origin.registry}".plainHttp`]: 'true',
    ...keys,
  }).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  for (const more of [['--json'], []]) {
    let out = ''
    const components = {
      runAgent: async () => {},
      adminAddress: (options: { set: readonly string[] }) =>
        loadConfig({ file: '/dev/null', environment: {}, flags: options.set }).admin.listen,
      setupConfig: () => ({ facade: { host: '127.0.0.1', port: 5050 }, defaultRegistry: 'docker.io', registries: [] }),
      doctor: {
        config: (options: { set: readonly string[] }) =>
          loadConfig({ file: '/dev/null', environment: {}, flags: options.set }),
        host: async () => ({ ...systemHostView({ path: '' }), hasProgram: async () => false, ...host }),
      },
      stdout: (text: string) => {
        out += text
      },
      stderr: () => {},
    }
    code = await runCli(['doctor', '--root', root, ...more, ...flags], components, { version })
    outputs.push(out)
  }
  const [asJson = '', text = ''] = outputs
  const { checks } = JSON.parse(asJson) as { checks: NamedResult[] }
  return { code, text, checks: Object.fromEntries(checks.map((check) => [check.name, check])) }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

describe('shoal doctor', () => {
  it('finds nothing wrong where nothing is: dialled back on both ports by other agents', async () => {
    const { code, checks, text } = await examine(fleet.first)
    const states = Object.values(checks).map(({ name, state }) => [name, state])
    expect(states.filter(([, state]) => state !== 'ok' && state !== 'skip')).toEqual([])
    for (const name of ['agent', 'mirror', 'registry', 'disk', 'swarm', 'ports', 'packet size', 'clock'])
      expect(checks[name]).toMatchObject({ state: 'ok' })
    expect(code).toBe(0)
    expect(text.trim().split('\n')).toHaveLength(states.length)
    expect(text).toMatch(/^ok +ports +both can be reached/m)
    expect(await fleet.first.status()).toMatchObject({ clients: [], probes: 2 })
  })

  it('finds a client that is set up, one that is not, and says when they were seen', async () => {
    await mkdir(join(root, 'etc/docker'), { recursive: true })
    const mirrors = { 'registry-mirrors': [`http://${fleet.first.facade}`] }
    await writeFile(join(root, 'etc/docker/daemon.json'), JSON.stringify(mirrors))
    const host = { hasProgram: async (name: string) => name === 'dockerd' || name === 'podman' }
    const before = await examine(fleet.first, { host })
    expect(before.checks['docker']).toMatchObject({ state: 'ok', text: expect.stringContaining('not seen yet') })
    expect(before.checks['podman']).toMatchObject({
      state: 'skip',
      text: expect.stringContaining('shoal setup podman'),
    })
    expect(before.checks['containerd']).toMatchObject({ state: 'skip' })
    await fetch(fleet.first.url('/v2/'), { headers: { 'user-agent': 'docker/28.5.2 go/go1.24' } })
    await fetch(fleet.first.url('/v2/'), { headers: { 'user-agent': 'containers/5.30 (github.com/containers/image)' } })
    const after = await examine(fleet.first, { host })
    expect(after.checks['docker']).toMatchObject({ state: 'ok', text: expect.stringContaining('last seen') })
    expect(after.checks['podman']).toMatchObject({ state: 'ok' })
    await rm(join(root, 'etc'), { recursive: true })
  })

  it('is of use when the agent is down', async () => {
    const bootstrap = (await fleet.first.status()).listening.swarm[0] ?? ''
    const { code, checks } = await examine(undefined, { keys: { 'swarm.bootstrap': bootstrap } })
    expect(code).toBe(1)
    expect(checks['agent']).toMatchObject({ state: 'fail', advice: expect.stringContaining('shoal agent') })
    expect(checks['mirror']).toMatchObject({ state: 'fail' })
    expect(checks['registry']).toMatchObject({ state: 'ok' })
    expect(checks['swarm']).toMatchObject({ state: 'ok', text: expect.stringContaining('1 of 1') })
    for (const name of ['ports', 'packet size', 'versions']) expect(checks[name]).toMatchObject({ state: 'skip' })
  })

  it('is of use when the configuration is wrong', async () => {
    const { code, checks } = await examine(undefined, { keys: { 'store.quoter': '1' } })
    expect(code).toBe(1)
    expect(checks['configuration']).toMatchObject({ state: 'fail', text: expect.stringContaining('store.quota') })
  })

  it('tells another secret from a host that is away', async () => {
    const bootstrap = (await fleet.first.status()).listening.swarm
    await using stranger = await TestAgent.start({
      origins: [origin.registry],
      swarm: { secret: 'another secret than theirs', bootstrap },
    })
    const listen = (await stranger.status()).listening.swarm[0] ?? ''
    const keys = { 'swarm.bootstrap': bootstrap[0] ?? '', 'swarm.listen': listen }
    const { code, checks } = await examine(stranger, { keys })
    expect(code).toBe(1)
    expect(checks['swarm']).toMatchObject({ state: 'fail', text: expect.stringContaining('secret') })
    const away = await examine(stranger, { keys: { ...keys, 'swarm.bootstrap': `127.0.0.1:${await freePort()}` } })
    expect(away.checks['swarm']?.text).toContain('none of 1')
    await vi.waitFor(
      async () => {
        const theirs = await examine(fleet.first)
        expect(theirs.checks['swarm']).toMatchObject({ state: 'warn', text: expect.stringContaining('another secret') })
      },
      { timeout: 20_000, interval: 200 },
    )
  })

  it('does not blame an address that only agents of this host could be asked about', async () => {
    await using hidden = await fleet.add((swarm) =>
      TestAgent.start({ origins: [origin.registry], swarm: { ...swarm, advertise: ['10.77.0.1'] } }),
    )
    const { checks } = await examine(hidden)
    expect(checks['ports']).toMatchObject({ state: 'skip', text: expect.stringContaining('on this host') })
    fleet.agents.splice(fleet.agents.indexOf(hidden), 1)
  })

  it('finds names that do not resolve', async () => {
    const { code, checks } = await examine(fleet.first, { keys: { 'swarm.bootstrap': 'no-such-host.invalid' } })
    expect(checks['bootstrap names']).toMatchObject({ state: 'fail' })
    expect(code).toBe(1)
  })

  it('finds a clock that is wrong, a registry that is away, and a disk that is full', async () => {
    const { checks } = await examine(fleet.first, {
      host: {
        now: () => Date.now() - 3_600_000,
        space: async () => ({ freeBytes: 1_000, totalBytes: 2 ** 40, inodes: 0, freeInodes: 0 }),
      },
    })
    expect(checks['clock']).toMatchObject({ state: 'fail', text: expect.stringContaining('1 h behind') })
    expect(checks['disk']).toMatchObject({ state: 'fail' })
    const away = `127.0.0.1:${await freePort()}`
    const other = await examine(fleet.first, {
      keys: { 'origin.default': away, [`origin.registries."${away}".plainHttp`]: 'true' },
    })
    expect(other.checks['registry']).toMatchObject({ state: 'warn', text: expect.stringContaining('ECONNREFUSED') })
    expect(other.code).toBe(0)
  })

  it('finds an agent of another version, and one that cannot write', async () => {
    const { checks } = await examine(fleet.first, { version: '9.9.9' })
    expect(checks['versions']).toMatchObject({ state: 'warn' })
    const file = join(root, 'a file')
    await writeFile(file, '')
    await chmod(file, 0o400)
    await using readOnly = await TestAgent.start({ origins: [origin.registry], store: { dir: file } })
    const examined = await examine(readOnly)
    expect(examined.checks['disk']).toMatchObject({ state: 'fail' })
    expect(examined.checks['swarm']).toBeDefined()
  })
})
