import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type AgentOptions, type CliComponents, runCli } from '../../../src/cli/program.ts'
import { parseConfig } from '../../../src/config.ts'
import { ShoalError } from '../../../src/errors.ts'
import { AdminServer } from '../../../src/facade/admin-server.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import { startFacade } from '../../fakes/facade-fixture.ts'
import { FakeAdminBackend, STATUS } from '../../fakes/fake-admin-backend.ts'
import { FakeLogger } from '../../fakes/fake-logger.ts'
import { FakePullServices } from '../../fakes/fake-pull-services.ts'

const A = `sha256:${'aa'.repeat(32)}`
const AB = `sha256:${'ab'.repeat(32)}`
const C = `sha512:${'cd'.repeat(64)}`
const blob = (digest: string, size: number) => ({
  digest,
  size,
  storedAt: 0,
  usedAt: Date.now() - 60_000,
  pinned: size > 2_000,
})

const nothingIsAsked = new FakePullServices({
  blob: () => expect.unreachable(),
  manifest: { digest: parseDigest(A), mediaType: '', size: 0, bytes: Buffer.alloc(0), stale: undefined },
  list: { contentType: undefined, link: undefined, filtersApplied: undefined, body: Buffer.alloc(0) },
})
const backend = new FakeAdminBackend()
const server = new AdminServer(
  { backend, metrics: { contentType: 'text/plain', text: async () => '' }, log: new FakeLogger() },
  { host: '127.0.0.1', port: 0 },
)
let port = 0

beforeAll(async () => {
  await server.start()
  port = server.addresses[0]?.port ?? 0
})
afterAll(() => server.stop({ deadlineMs: 0 }))
beforeEach(() => {
  backend.current = STATUS
  backend.known = { peers: [], bans: [] }
  backend.held = [blob(A, 1_024), blob(AB, 3 * 1_024 * 1_024), blob(C, 5)]
  backend.removed.length = 0
  backend.verifyEvents = async function* () {
    yield { type: 'blob', digest: A, size: 1_024, outcome: 'ok' }
    yield { type: 'done', checked: 1, bad: 0, bytes: 1_024, seconds: 2 }
  }
})

async function run(args: string[], overrides: Partial<CliComponents> = {}) {
  let out = ''
  let err = ''
  const components: CliComponents = {
    runAgent: async () => {},
    adminAddress: () => ({ host: '127.0.0.1', port }),
    setupConfig: () => ({ facade: { host: '127.0.0.1', port: 5050 }, defaultRegistry: 'docker.io', registries: [] }),
    stdout: (text) => {
      out += text
    },
    stderr: (text) => {
      err += text
    },
    ...overrides,
  }
  const code = await runCli(args, components, { version: '1.2.3' })
  return { code, out, err }
}

describe('shoal', () => {
  it('says its version, and how it is used', async () => {
    expect(await run(['--version'])).toEqual({ code: 0, out: '1.2.3\n', err: '' })
    expect(await run(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('verify') })
  })

  it.each([
    [['nonsense']],
    [['status', '--nonsense']],
    [['status', 'x']],
    [['rm']],
    [['rm', 'XYZ']],
    [['status', '--admin', 'http://']],
    [['status', '--admin', 'http://127.0.0.1:5053/shoal']],
    [['status', '--admin', 'ftp://127.0.0.1']],
    [['status', '--admin', 'http://me:secret@127.0.0.1:5053']],
    [['agent', '--set']],
    [['prewarm', 'UPPER']],
    [['prewarm', 'a', 'a:b:c']],
    [['prewarm', 'a', '--platform', 'nonsense']],
    [['prewarm', 'a', '--hosts', '2']],
    [['prewarm', 'a', '--fleet', '--hosts', '1000']],
    [['prewarm', 'a', '--fleet', '--hosts', 'x']],
  ])('ends with 2 when it is called wrongly: %j', async (args) => {
    const { code, err } = await run(args)
    expect(code).toBe(2)
    expect(err).not.toBe('')
  })

  it('ends with 2 and its usage when it is told nothing', async () => {
    expect(await run([])).toMatchObject({ code: 2, err: expect.stringContaining('Usage') })
  })

  it('hands the options of agent to the one who runs it', async () => {
    const seen: AgentOptions[] = []
    await run(['agent', '--config', '/x.yaml', '--set', 'a=1', '--set', 'b=2'], {
      runAgent: async (options) => void seen.push(options),
    })
    await run(['agent'], { runAgent: async (options) => void seen.push(options) })
    expect(seen).toEqual([
      { config: '/x.yaml', set: ['a=1', 'b=2'] },
      { config: undefined, set: [] },
    ])
  })

  it('ends with 1 and the message when the agent can not start', async () => {
    const runAgent = () => Promise.reject(new Error('port is taken'))
    expect(await run(['agent'], { runAgent })).toMatchObject({ code: 1, err: 'shoal: port is taken\n' })
  })
})

it('doctor says in its help what it ends with', async () => {
  const doctor = { config: () => parseConfig({}), host: () => Promise.reject(new Error('not asked')) }
  const { out } = await run(['doctor', '--help'], { doctor })
  expect(out).toMatch(/Ends with 0 .*warnings; with 1 when one failed/)
})

describe('a command that asks an agent', () => {
  it('ends with 1 and says where it looked when none runs', async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const dead = (closed.address() as { port: number }).port
    closed.close()
    for (const command of [['status'], ['peers'], ['blobs'], ['verify'], ['gc'], ['rm', 'aa']]) {
      const { code, err } = await run([...command, '--admin', `127.0.0.1:${dead}`])
      expect(code).toBe(1)
      expect(err).toContain(`http://127.0.0.1:${dead}`)
    }
  })

  it('ends with 2 for what can be no digest, before an agent is asked', async () => {
    for (const wrong of ['XYZ', 'sha1:aa', 'sha256:']) {
      const { code, err } = await run(['rm', 'aa', wrong, '--admin', '127.0.0.1:1'])
      expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(`beginning of one: ${wrong}`) })
    }
  })

  it('ends with 1 when something else answers', async () => {
    const other = createServer((_request, response) => response.end('<html>')).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port: wrong } = other.address() as { port: number }
    expect(await run(['status', '--admin', `http://127.0.0.1:${wrong}/`])).toMatchObject({
      code: 1,
      err: expect.stringContaining('no agent'),
    })
    other.close()
  })

  it.each([['status'], ['gc']])('says that the mirror is no admin listener (%s)', async (command) => {
    await using mirror = await startFacade(nothingIsAsked)
    const base = `http://127.0.0.1:${mirror.port}`
    expect(await run([command, '--admin', base])).toMatchObject({
      code: 1,
      err: `shoal: a mirror or a registry answers at ${base}, no admin listener: an agent's admin listener is usually on port 5053\n`,
    })
  })

  it('looks on loopback when the agent listens everywhere', async () => {
    expect((await run(['status'], { adminAddress: () => ({ host: '0.0.0.0', port }) })).code).toBe(0)
  })

  it('asks for the address when the agent chose its port itself', async () => {
    expect(await run(['status'], { adminAddress: () => ({ host: '127.0.0.1', port: 0 }) })).toMatchObject({
      code: 2,
      err: expect.stringContaining('--admin'),
    })
  })
})

it('status says it for people, and as JSON', async () => {
  const { out } = await run(['status'])
  for (const part of ['shoal 1.2.3, ready', '1 h 2 min', '1.5 GiB of 50 GiB', '127.0.0.1:5050', '3/4'])
    expect(out).toContain(part)
  for (const part of [
    '7 peers connected, 1 shut out',
    '10.0.0.7:5051; lane 10.0.0.7:5052',
    STATUS.swarm?.id ?? '?',
    '1 MiB from registries, 3 MiB from peers (2 KiB of it for nothing)',
    '5 MiB to peers',
  ])
    expect(out).toContain(part)
  expect(JSON.parse((await run(['status', '--json'])).out)).toEqual(STATUS)
})

it('status says when blobs are not kept', async () => {
  expect((await run(['status'])).out).not.toContain('not kept')
  backend.current = { ...STATUS, store: { ...STATUS.store, writable: false } }
  expect((await run(['status'])).out).toContain('not kept')
})

it('status says of one peer that it is one', async () => {
  backend.current = { ...STATUS, swarm: { id: 'own', connected: 1, banned: 0 } }
  expect((await run(['status'])).out).toContain('Swarm      1 peer connected\n')
})

it('status says why nothing is stored', async () => {
  const unusable = 'store.dir: the data directory /proc/x cannot be used: ENOENT'
  backend.current = {
    ...STATUS,
    store: { dir: '/proc/x', blobs: 0, bytes: 0, quotaBytes: 0, writable: false, unusable },
  }
  const { out } = await run(['status'])
  expect(out).toContain(`Store      none: ${unusable}\nBlobs      nothing is stored: all are passed through\n`)
})

it('status says when there is no swarm', async () => {
  backend.current = {
    ...STATUS,
    listening: { ...STATUS.listening, swarm: [], lane: [] },
    traffic: { ...STATUS.traffic, wasted: 0 },
    swarm: undefined,
  }
  const { out } = await run(['status'])
  expect(out).toContain('none: this agent is on its own')
  expect(out).not.toContain('for nothing')
})

it('status says that without a secret there is no swarm', async () => {
  const swarm = { id: 'own', connected: 0, banned: 0 }
  backend.current = { ...STATUS, swarm, listening: { ...STATUS.listening, swarm: [], lane: [] } }
  const { out } = await run(['status'])
  expect(out).toContain('none: no swarm.secretFile')
  expect(out).not.toContain('connected')
})

describe('peers', () => {
  const peer = (end: string, more: object = {}) => ({
    id: `12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1${end}`,
    address: '10.0.0.8:5051',
    zone: 'a',
    version: '1.2.3',
    isConnected: true,
    receivedBytes: 0,
    sentBytes: 0,
    faults: 0,
    ...more,
  })

  it('lists them, those connected and busy first, with whoever is shut out and why', async () => {
    const liar = peer('Liar9999', { isConnected: false, receivedBytes: 2 ** 30, faults: 3 })
    const idle = peer('Idle1111')
    const busy = peer('Busy2222', { receivedBytes: 5 * 2 ** 20, sentBytes: 2 ** 20, bytesPerSecond: 1024, zone: '' })
    const now = Date.now()
    backend.known = {
      peers: [liar, idle, busy],
      bans: [
        { peer: liar.id, reason: 'false-map', since: now, until: now + 7_200_500, fromPeer: busy.id },
        { peer: idle.id.replace('Idle', 'Gone'), reason: 'wrong-bytes', since: now - 9, until: now - 1 },
      ],
    }
    const { out } = await run(['peers'])
    const lines = out.split('\n').map((line) => line.split(/ {2,}/))
    expect(lines.slice(1, 4)).toEqual([
      ['Busy2222', '10.0.0.8:5051', '-', '1.2.3', 'connected', '5 MiB', '1 MiB', '1 KiB/s', '0'],
      ['Idle1111', '10.0.0.8:5051', 'a', '1.2.3', 'connected', '0 B', '0 B', '0'],
      ['Liar9999', '10.0.0.8:5051', 'a', '1.2.3', 'shut out', '1 GiB', '0 B', '3'],
    ])
    expect(lines.slice(6, 8)).toEqual([
      ['Liar9999', 'signed a false map of chunks', 'in 2 h', 'Busy2222'],
      ['Gone1111', 'sent wrong bytes', 'now', 'this agent'],
    ])
    expect(out).toContain('2 connected, 2 shut out')
    expect(JSON.parse((await run(['peers', '--json'])).out)).toEqual(backend.known)
  })

  it('says when there are none', async () => {
    expect((await run(['peers'])).out).toBe('No other agents.\n')
  })

  it.each([
    ['nobody was ever', () => []],
    ['nobody is', () => [peer('Gone3333', { isConnected: false, bytesPerSecond: 1024 })]],
  ])('points to the doctor when %s connected though addresses are configured', async (_, peers) => {
    backend.known = { peers: peers(), bans: [], bootstrap: 2 }
    const { out } = await run(['peers'])
    expect(out).toContain('though swarm.bootstrap is set: see `shoal doctor`')
    expect(out).not.toContain('1 KiB/s')
  })

  it('does not point to the doctor when somebody is connected', async () => {
    backend.known = { peers: [peer('Here4444')], bans: [], bootstrap: 2 }
    expect((await run(['peers'])).out).not.toContain('doctor')
  })

  it('hands nothing on to the terminal that a peer said', async () => {
    const evil = '\u001b[2J\u009b\nDONE'
    backend.known = { peers: [peer(evil, { zone: evil, version: evil, address: evil })], bans: [] }
    const { out } = await run(['peers'])
    // oxlint-disable-next-line no-control-regex -- this is what is looked for
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    expect(out.split('\n')).toHaveLength(5)
  })
})

it('blobs lists them, and as JSON', async () => {
  const { out } = await run(['blobs'])
  for (const part of [A, AB, '3 MiB', '1 min ago', 'pinned', '3 blobs']) expect(out).toContain(part)
  expect(JSON.parse((await run(['blobs', '--json'])).out)).toEqual(backend.held)
  backend.held = []
  expect((await run(['blobs'])).out).toBe('No blobs in the store.\n')
})

it('gc says what it removed', async () => {
  expect((await run(['gc'])).out).toContain('Removed 1 blob (2 KiB)')
  expect(JSON.parse((await run(['gc', '--json'])).out)).toMatchObject({ removedBlobs: 1 })
})

describe('verify', () => {
  it('ends with 0 when all blobs are good', async () => {
    expect(await run(['verify'])).toMatchObject({ code: 0, out: '1 blob, 1 KiB, checked in 2 s: 0 bad\n' })
    expect(
      (await run(['verify', '--json'])).out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).type),
    ).toEqual(['blob', 'done'])
  })

  it('ends with 1 and names the bad ones', async () => {
    backend.verifyEvents = async function* () {
      yield { type: 'blob', digest: A, size: 1, outcome: 'corrupt' }
      yield { type: 'done', checked: 2, bad: 1, bytes: 1, seconds: 0 }
    }
    expect(await run(['verify'])).toMatchObject({
      code: 1,
      out: expect.stringContaining(`corrupt  ${A}`),
      err: 'shoal: 1 of 2 blobs were bad\n',
    })
  })

  it('ends with 1 when the check did not come to its end', async () => {
    backend.verifyEvents = async function* () {
      yield { type: 'blob', digest: A, size: 1, outcome: 'ok' }
    }
    expect(await run(['verify'])).toMatchObject({ code: 1, err: expect.stringContaining('before all blobs') })
  })
})

describe('rm', () => {
  it.each([
    [['aaaa'], [A]],
    [['sha256:ab'], [AB]],
    [[A], [A]],
    [
      ['cd', 'aaa', A],
      [C, A],
    ],
    [['sha512:cd'], [C]],
  ])('takes %j', async (wanted, removed) => {
    expect((await run(['rm', ...wanted])).code).toBe(0)
    expect(backend.removed).toEqual(removed)
  })

  it.each([
    [['a'], '2 blobs begin with a'],
    [['ff'], 'no blob ff'],
    [['aaaa', 'ff'], 'no blob ff'],
    [['sha512:aa'], 'no blob sha512:aa'],
  ])('removes nothing for %j', async (wanted, message) => {
    expect(await run(['rm', ...wanted])).toMatchObject({ code: 1, err: expect.stringContaining(message) })
    expect(backend.removed).toEqual([])
  })

  it('reports what it removed before one could not be', async () => {
    const remove = backend.remove.bind(backend)
    using _ = vi.spyOn(backend, 'remove').mockImplementation(async (digest) => {
      if (digest === AB) throw new ShoalError('STORE_FAILED', 'disk gone')
      return await remove(digest)
    })
    const { code, out, err } = await run(['rm', 'cd', 'ab', '--json'])
    expect(JSON.parse(out)).toEqual([{ digest: C, bytes: 5 }])
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('disk gone') })
  })

  it('prints what it removed, and as JSON', async () => {
    expect((await run(['rm', 'cd'])).out).toBe(`removed ${C} (5 B)\n`)
    expect(JSON.parse((await run(['rm', 'aaaa', '--json'])).out)).toEqual([{ digest: A, bytes: 1_024 }])
  })
})
