import { beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config.ts'
import { agentCheck } from '../../../src/doctor/agent-check.ts'
import { AgentView } from '../../../src/doctor/agent-view.ts'
import { type Check, runChecks } from '../../../src/doctor/check.ts'
import { clockCheck } from '../../../src/doctor/clock-check.ts'
import { configCheck } from '../../../src/doctor/config-check.ts'
import { diskCheck } from '../../../src/doctor/disk-check.ts'
import { dnsCheck } from '../../../src/doctor/dns-check.ts'
import { packetCheck } from '../../../src/doctor/packet-check.ts'
import { probeCheck } from '../../../src/doctor/probe-check.ts'
import { reachCheck } from '../../../src/doctor/reach-check.ts'
import { registryCheck } from '../../../src/doctor/registry-check.ts'
import { RegistryProbe } from '../../../src/doctor/registry-probe.ts'
import { swarmCheck } from '../../../src/doctor/swarm-check.ts'
import { versionCheck } from '../../../src/doctor/version-check.ts'
import { ShoalError } from '../../../src/errors.ts'
import type { AgentStatus } from '../../../src/facade/admin-api.ts'
import type { Diagnosis, ReachReport, SwarmDiagnosis } from '../../../src/facade/diagnosis-api.ts'
import { STATUS } from '../../fakes/fake-admin-backend.ts'
import { FakeHostView } from '../../fakes/fake-host-view.ts'

const { signal } = new AbortController()
const DOWN = 'no agent answers at http://127.0.0.1:5053: connection refused. Is it running?'
const MEMBER = { id: 'b', address: '10.0.0.2:5051', version: STATUS.version, clockOffsetMs: 20 }
const GOOD: NonNullable<ReachReport['answer']> = {
  observed: '10.0.0.1',
  swarm: 'reached',
  lane: 'reached',
  fullPackets: true,
}

let host: FakeHostView
let status: AgentStatus | undefined
let diagnosis: Diagnosis
let asks: number

beforeEach(() => {
  host = new FakeHostView()
  status = STATUS
  asks = 0
  diagnosis = { now: host.time, swarm: swarmWith({}) }
})

function swarmWith(more: Partial<SwarmDiagnosis>): SwarmDiagnosis {
  const reach = [{ peer: 'b', address: MEMBER.address, answer: GOOD }]
  return { isMember: true, refusals: {}, members: [MEMBER], reach, ...more }
}

function agent(): AgentView {
  return new AgentView({
    status: async () => {
      asks += 1
      if (status === undefined) throw new Error(DOWN)
      return status
    },
    diagnose: async () => diagnosis,
  })
}

const run = (check: Check) => check.run({ signal })

describe('configuration', () => {
  it('is what it should be', async () => {
    expect(await run(configCheck({ loaded: { config: parseConfig({}) } }))).toMatchObject({ state: 'ok' })
  })

  it('fails with its own message when it cannot be read, and when the secret cannot', async () => {
    const error = new ShoalError('CONFIG_INVALID', 'configuration: unknown key stor')
    expect(await run(configCheck({ loaded: { error } }))).toMatchObject({ state: 'fail', text: error.message })
    const config = parseConfig({ swarm: { secretFile: '/nowhere/secret' } })
    expect(await run(configCheck({ loaded: { config } }))).toMatchObject({
      state: 'fail',
      text: expect.stringContaining('/nowhere/secret'),
    })
  })
})

describe('agent', () => {
  it('is up and ready, asked for its status once', async () => {
    const view = agent()
    expect(await run(agentCheck({ agent: view }))).toMatchObject({ state: 'ok' })
    await run(versionCheck({ agent: view }, { version: STATUS.version }))
    expect(asks).toBe(1)
  })

  it('fails when it is not ready, and when it is down says how to start it', async () => {
    status = { ...STATUS, ready: false }
    expect(await run(agentCheck({ agent: agent() }))).toMatchObject({ state: 'fail' })
    status = undefined
    expect(await run(agentCheck({ agent: agent() }))).toMatchObject({
      state: 'fail',
      text: 'no agent answers at http://127.0.0.1:5053: connection refused',
      advice: expect.stringContaining('systemctl start shoal'),
    })
  })
})

it('versions differ when the agent still runs what was installed before', async () => {
  expect(await run(versionCheck({ agent: agent() }, { version: STATUS.version }))).toMatchObject({ state: 'ok' })
  expect(await run(versionCheck({ agent: agent() }, { version: '9.9.9' }))).toMatchObject({ state: 'warn' })
  diagnosis = { now: 0, swarm: swarmWith({ members: [{ ...MEMBER, version: '0.9.0' }] }) }
  expect(await run(versionCheck({ agent: agent() }, { version: STATUS.version }))).toMatchObject({
    state: 'ok',
    text: expect.stringContaining('0.9.0'),
  })
})

describe('mirror', () => {
  const address = { host: '127.0.0.1', port: 5050 }
  const check = () => probeCheck({ agent: agent(), host }, address)
  const count = (requests: number) => {
    status = { ...STATUS, probes: requests }
  }

  it('answers, and the agent has counted it', async () => {
    count(3)
    host.head = async () => {
      count(4)
      return { status: 200, date: undefined }
    }
    expect(await run(check())).toMatchObject({ state: 'ok' })
    expect(host.asked).toEqual([`http://${STATUS.listening.facade[0]}/v2/`])
  })

  it('fails when the agent has counted nothing: something else answers there', async () => {
    count(3)
    expect(await run(check())).toMatchObject({ state: 'fail', text: expect.stringContaining('not this agent') })
  })

  it('fails when nothing answers, when it is not ready, and when only a stranger is there', async () => {
    host.head = () => Promise.reject(Object.assign(new Error('no'), { code: 'ECONNREFUSED' }))
    expect(await run(check())).toMatchObject({ state: 'fail', text: expect.stringContaining('ECONNREFUSED') })
    host.head = async () => ({ status: 503, date: undefined })
    expect(await run(check())).toMatchObject({ state: 'fail', text: expect.stringContaining('503') })
    status = undefined
    expect(await run(check())).toMatchObject({ state: 'fail', text: expect.stringContaining('something answers') })
  })
})

it('bootstrap names resolve, or are named', async () => {
  host.names = { 'a.test': ['10.0.0.1', '10.0.0.2'] }
  const check = (...bootstrap: string[]) => run(dnsCheck({ host }, { enabled: true, bootstrap }))
  expect(await check('10.0.0.1', '/ip4/10.0.0.1/tcp/5051')).toMatchObject({ state: 'skip' })
  expect(await check('a.test:5051')).toMatchObject({ state: 'ok', text: '1 names, 2 addresses' })
  expect(await check('a.test', '/dns4/b.test/tcp/1')).toMatchObject({
    state: 'warn',
    text: expect.stringContaining('b.test'),
  })
  expect(await check('b.test')).toMatchObject({ state: 'fail' })
})

describe('swarm', () => {
  const settings = (keys: object) => ({ ...parseConfig({ swarm: keys }).swarm })
  const check = (keys: object = {}) => run(swarmCheck({ agent: agent(), host }, settings(keys)))
  const alone = (more: Partial<SwarmDiagnosis> = {}) => {
    diagnosis = { now: 0, swarm: swarmWith({ members: [], reach: [], ...more }) }
  }

  it('is well when others are connected, and says when somebody comes with another secret', async () => {
    expect(await check()).toMatchObject({ state: 'ok' })
    diagnosis = { now: 0, swarm: swarmWith({ refusals: { 'wrong-secret': 4 } }) }
    expect(await check()).toMatchObject({
      state: 'warn',
      text: expect.stringContaining('4 connections came with another secret'),
    })
  })

  it('is well among others though some connections failed while the secret was proved', async () => {
    diagnosis = { now: 0, swarm: swarmWith({ refusals: { 'secret-refused': 1 } }) }
    expect(await check()).toMatchObject({
      state: 'ok',
      text: expect.stringContaining('1 connection failed, maybe for another secret'),
    })
  })

  it('is likely to have another secret when hosts answer and nobody is a member', async () => {
    alone()
    expect(await check({ bootstrap: ['10.0.0.2'] })).toMatchObject({
      state: 'fail',
      text: expect.stringContaining('secret'),
    })
  })

  it('has turned others away that come with another secret', async () => {
    host.reached = () => 'timeout'
    alone({ refusals: { 'wrong-secret': 1 } })
    for (const bootstrap of [[], ['10.0.0.2']]) {
      expect(await check({ bootstrap })).toMatchObject({
        state: 'warn',
        text: expect.stringContaining('1 connection came with another secret'),
      })
    }
  })

  it('is behind a firewall, or alone, when no host answers', async () => {
    alone()
    host.reached = () => 'timeout'
    expect(await check({ bootstrap: ['10.0.0.2', '10.0.0.3'] })).toMatchObject({
      state: 'fail',
      text: expect.stringContaining('none of 2'),
    })
  })

  it('does not take this host for another one', async () => {
    alone()
    host.own = ['10.0.0.1']
    host.names = { 'all.test': ['10.0.0.1'] }
    expect(await check({ bootstrap: ['all.test'] })).toMatchObject({ state: 'warn' })
    expect(host.asked).toEqual([])
  })

  it('says what to set where nothing is set', async () => {
    alone()
    expect(await check()).toMatchObject({ state: 'warn', advice: expect.stringContaining('swarm.bootstrap') })
    alone({ isMember: false })
    expect(await check()).toMatchObject({ state: 'warn', advice: expect.stringContaining('swarm.secretFile') })
    expect(await check({ enabled: false })).toMatchObject({ state: 'skip' })
  })

  it('tries the other hosts also while the agent is down', async () => {
    status = undefined
    expect(await check({ bootstrap: ['10.0.0.2'] })).toMatchObject({ state: 'ok' })
    host.reached = () => 'refused'
    expect(await check({ bootstrap: ['10.0.0.2'] })).toMatchObject({ state: 'warn' })
    expect(await check()).toMatchObject({ state: 'skip' })
  })
})

describe('what other agents see of this one', () => {
  const seen = (...answers: Partial<typeof GOOD>[]) => {
    const reach = answers.map((answer) => ({ peer: 'b', address: '', answer: { ...GOOD, ...answer } }))
    diagnosis = { now: 0, swarm: swarmWith({ reach }) }
  }
  const ports = () => run(reachCheck({ agent: agent() }))
  const packets = () => run(packetCheck({ agent: agent() }))

  it('is well when one of them got through', async () => {
    seen({ swarm: 'timeout' }, {})
    expect(await ports()).toMatchObject({ state: 'ok' })
    expect(await packets()).toMatchObject({ state: 'ok' })
  })

  it.each([
    [{ swarm: 'timeout', lane: 'timeout' }, 'fail', 'swarm.listen'],
    [{ lane: 'timeout' }, 'warn', 'swarm.lane'],
    [{ lane: 'refused' }, 'warn', 'swarm.lane'],
    [{ swarm: 'elsewhere', lane: 'elsewhere' }, 'warn', 'swarm.advertise'],
  ] as const)('ports: %j', async (answer, state, key) => {
    seen(answer)
    expect(await ports()).toMatchObject({ state, advice: expect.stringContaining(key) })
  })

  it('is not known when only agents of this host could be asked', async () => {
    const sameHost = { observed: '127.0.0.1', swarm: 'elsewhere', lane: 'elsewhere' } as const
    seen(sameHost, { ...sameHost, observed: '::1' })
    expect(await ports()).toMatchObject({ state: 'skip' })
    seen(sameHost, { ...sameHost, observed: '10.0.0.1' })
    expect(await ports()).toMatchObject({ state: 'warn' })
  })

  it('points to the MTU when full packets are lost', async () => {
    seen({ fullPackets: false })
    expect(await packets()).toMatchObject({ state: 'fail', advice: expect.stringContaining('MTU') })
    seen({ fullPackets: false }, {})
    expect(await packets()).toMatchObject({ state: 'warn' })
  })

  it('is not known without others, and without an agent', async () => {
    diagnosis = { now: 0, swarm: swarmWith({ reach: [{ peer: 'b', address: '', error: 'gone' }] }) }
    for (const result of [await ports(), await packets()]) expect(result).toMatchObject({ state: 'skip' })
    status = undefined
    for (const result of [await ports(), await packets()]) expect(result).toMatchObject({ state: 'skip' })
  })
})

describe('registry and clock', () => {
  const registry = () => new RegistryProbe({ host }, { registry: 'docker.io', plainHttp: false, ca: undefined })
  const clock = () => run(clockCheck({ agent: agent(), registry: registry() }))

  it('are asked for with one request', async () => {
    const probe = registry()
    expect(await run(registryCheck({ registry: probe }))).toMatchObject({ state: 'ok' })
    expect(await run(clockCheck({ agent: agent(), registry: probe }))).toMatchObject({ state: 'ok' })
    expect(host.asked).toEqual(['https://registry-1.docker.io/v2/'])
  })

  it('a registry that is away is a warning: the fleet goes on', async () => {
    host.head = () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }))
    expect(await run(registryCheck({ registry: registry() }))).toMatchObject({ state: 'warn' })
    host.head = async () => ({ status: 502, date: undefined })
    expect(await run(registryCheck({ registry: registry() }))).toMatchObject({ state: 'warn' })
  })

  it('a registry that is away does no harm while a mirror of it answers', async () => {
    const asked = { registry: 'docker.io', plainHttp: false, ca: undefined }
    const mirrorOf = (mirror: string) => new RegistryProbe({ host }, { ...asked, mirror })
    const ask = () => {
      const mirrors = [mirrorOf('http://a.example:5000'), mirrorOf('http://b.example/cache/')]
      return run(registryCheck({ registry: registry(), mirrors }))
    }
    host.head = async (url) => {
      if (url === 'http://b.example/cache/v2/') return { status: 200, date: undefined }
      throw Object.assign(new Error('no'), { code: 'ENOTFOUND' })
    }
    expect(await ask()).toMatchObject({ state: 'ok', text: expect.stringContaining('b.example') })
    host.head = async () => ({ status: 503, date: undefined })
    expect(await ask()).toMatchObject({ state: 'warn' })
  })

  it.each([
    [0, 'ok'],
    [15_000, 'warn'],
    [-15_000, 'warn'],
    [600_000, 'fail'],
  ] as const)('a clock that is %i ms off counts by that', async (offMs, state) => {
    diagnosis = { now: 0, swarm: swarmWith({ members: [] }) }
    host.head = async () => ({ status: 200, date: host.time + offMs })
    expect(await clock()).toMatchObject({ state })
    host.head = () => Promise.reject(new Error('away'))
    diagnosis = { now: 0, swarm: swarmWith({ members: [{ ...MEMBER, clockOffsetMs: offMs }] }) }
    expect(await clock()).toMatchObject({ state })
  })

  it('the clock of one other agent is its own affair', async () => {
    const members = [MEMBER, MEMBER, { ...MEMBER, address: '10.0.0.9:5051', clockOffsetMs: 900_000 }]
    diagnosis = { now: 0, swarm: swarmWith({ members }) }
    expect(await clock()).toMatchObject({ state: 'warn', text: expect.stringContaining('10.0.0.9:5051') })
  })

  it('is not known when there is nothing to compare it with', async () => {
    host.head = () => Promise.reject(new Error('away'))
    status = undefined
    expect(await clock()).toMatchObject({ state: 'skip' })
  })
})

describe('disk', () => {
  const check = () => run(diskCheck({ agent: agent(), host }, { dir: '/var/lib/shoal', quotaBytes: 2 ** 30 }))

  it('is healthy', async () => {
    expect(await check()).toMatchObject({ state: 'ok' })
  })

  it('fails when the agent cannot write, the mount is read-only, or there is no room for bytes or files', async () => {
    status = { ...STATUS, store: { ...STATUS.store, writable: false } }
    expect(await check()).toMatchObject({ state: 'fail', advice: expect.stringContaining('make room') })
    for (const error of ['EACCES', 'ENOENT']) {
      host.error = error
      expect(await check()).toMatchObject({ state: 'fail', advice: expect.stringContaining('--set store.dir') })
    }
    status = STATUS
    host.error = 'EROFS'
    expect(await check()).toMatchObject({ state: 'fail' })
    host.error = undefined
    host.disk = { ...host.disk, freeInodes: 10 }
    expect(await check()).toMatchObject({ state: 'fail', text: expect.stringContaining('inodes') })
    host.disk = { ...host.disk, inodes: 0, freeInodes: 0, freeBytes: 1000 }
    expect(await check()).toMatchObject({ state: 'fail' })
  })

  it('warns when the quota is more than the disk has', async () => {
    host.disk = { ...host.disk, freeBytes: 5 * 2 ** 30 }
    expect(await check()).toMatchObject({ state: 'warn', advice: expect.stringContaining('store.quota') })
  })

  it('says what becomes of a directory that is not there while the agent is down', async () => {
    status = undefined
    host.error = 'ENOENT'
    expect(await check()).toMatchObject({ state: 'warn' })
    host.paths.add('/var/lib')
    expect(await check()).toMatchObject({ state: 'ok' })
  })
})

describe('running checks', () => {
  it('gives the results in the order of the checks, and one that throws counts as not looked at', async () => {
    const slow = Promise.withResolvers<void>()
    const checks: Check[] = [
      { name: 'slow', run: async () => slow.promise.then(() => ({ state: 'ok', text: 'at last' })) },
      { name: 'bad', run: () => Promise.reject(new Error('broken')) },
      {
        name: 'last',
        run: async () => {
          slow.resolve()
          return { state: 'ok', text: 'here' }
        },
      },
    ]
    const results = await Array.fromAsync(runChecks(checks, { deadlineMs: 60_000 }))
    expect(results.map(({ name, state }) => [name, state])).toEqual([
      ['slow', 'ok'],
      ['bad', 'warn'],
      ['last', 'ok'],
    ])
  })

  it('waits for none longer than the deadline, whether it heeds its signal or not', async () => {
    const stuck: Check = { name: 'stuck', run: () => new Promise(() => {}) }
    const results = await Array.fromAsync(runChecks([stuck], { deadlineMs: 20 }))
    expect(results).toMatchObject([{ name: 'stuck', state: 'warn' }])
  })
})
