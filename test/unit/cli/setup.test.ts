import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SetupConfig } from '../../../src/cli/commands/setup.ts'
import { type CliComponents, runCli } from '../../../src/cli/program.ts'
import { ShoalError } from '../../../src/errors.ts'

const unused = (): never => {
  throw new Error('not used by this command')
}
const UNUSED = { runAgent: unused, adminAddress: unused, config: unused, host: unused }
const BEFORE = '{ "debug": true }\n'

let root: string
let config: SetupConfig
let problem: NonNullable<CliComponents['agentProblem']>

beforeEach(async () => {
  problem = async () => undefined
  root = await mkdtemp(join(tmpdir(), 'shoal-cli-setup-'))
  mkdirSync(join(root, 'etc/docker'), { recursive: true })
  writeFileSync(join(root, 'etc/docker/daemon.json'), BEFORE)
  config = { facade: { host: '127.0.0.1', port: 5050 }, defaultRegistry: 'docker.io', registries: [] }
})
afterEach(() => rmSync(root, { recursive: true }))

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const components = {
    ...UNUSED,
    setupConfig: () => config,
    agentProblem: problem,
    stdout: (text: string) => {
      out += text
    },
    stderr: (text: string) => {
      err += text
    },
  }
  const code = await runCli(['setup', ...args, '--root', root], components, { version: '1.2.3' })
  return { code, out, err }
}

const daemonJson = (): string => readFileSync(join(root, 'etc/docker/daemon.json'), 'utf8')

describe('shoal setup', () => {
  it('shows the difference, makes it, says what came of it, and takes it back', async () => {
    const { code, out, err } = await run('docker')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(
      /^--- \/etc\/docker\/daemon\.json\n[^]*\+.*http:\/\/127\.0\.0\.1:5050[^]*\ndocker is set up\.\n/,
    )
    expect(daemonJson()).toContain('http://127.0.0.1:5050')
    expect(await run('docker')).toEqual({ code: 0, out: 'docker was set up already.\n', err: '' })
    expect((await run('docker', '--undo')).out).toContain('taken back')
    expect(daemonJson()).toBe(BEFORE)
    expect((await run('docker', '--undo')).out).toContain('nothing to take back')
  })

  it('only shows with --dry-run, and only prints with --print', async () => {
    expect((await run('docker', '--dry-run')).out).toMatch(/^--- [^]*\nNothing was changed\.\n$/)
    const printed = await run('docker', '--print')
    expect(JSON.parse(printed.out)).toEqual({ debug: true, 'registry-mirrors': ['http://127.0.0.1:5050'] })
    expect(daemonJson()).toBe(BEFORE)
    expect(readdirSync(join(root, 'etc/docker'))).toEqual(['daemon.json'])
    expect((await run('containerd', '--print')).out).toMatch(
      /^==> \/etc\/containerd\/certs\.d\/_default\/hosts\.toml <==\n[^]*\n==> \/etc\/containerd\/config\.toml <==\n[^]*"\n$/,
    )
  })

  it('only shows what --undo would change with --dry-run', async () => {
    await run('docker')
    const once = daemonJson()
    expect((await run('docker', '--undo', '--dry-run')).out).toContain('-  "registry-mirrors"')
    expect(daemonJson()).toBe(once)
  })

  it('tells all of it as JSON', async () => {
    const { out } = await run('containerd', '--json')
    expect(JSON.parse(out)).toMatchObject({
      client: 'containerd',
      action: 'setup',
      applied: true,
      changes: [
        { path: '/etc/containerd/certs.d/_default/hosts.toml', change: 'create', diff: expect.stringMatching(/^---/) },
        { path: '/etc/containerd/config.toml', change: 'create' },
      ],
      daemon: { done: false, failed: false },
    })
    const printed = JSON.parse((await run('podman', '--json', '--print')).out) as object
    expect(printed).toMatchObject({
      applied: false,
      files: { '/etc/containers/registries.conf.d/50-shoal.conf': expect.stringContaining('[[registry]]') },
    })
  })

  it('takes the registries and the address from the configuration, or as they are given', async () => {
    config = { facade: { host: '0.0.0.0', port: 6000 }, defaultRegistry: 'docker.io', registries: ['a.example:5000'] }
    expect((await run('podman', '--print')).out).toContain('127.0.0.1:6000/a.example_5000')
    const given = ['--mirror', 'https://m.example', '--registry', 'Quay.io', '--registry', 'index.docker.io']
    const { out } = await run('crio', '--print', ...given)
    expect(out.match(/^location.*$/gm)).toEqual([
      'location = "quay.io"',
      'location = "m.example/quay.io"',
      'location = "docker.io"',
      'location = "m.example"',
    ])
  })

  it('warns that no agent answers where the client will ask, and only then', async () => {
    const asked: string[] = []
    problem = async ({ url }, { root: below }) => {
      asked.push(`${url} ${below}`)
      return 'Warning: no agent.'
    }
    expect(await run('docker')).toMatchObject({ code: 0, out: expect.stringMatching(/\nWarning: no agent\.\n/) })
    expect(asked).toEqual([`http://127.0.0.1:5050 ${root}`])
    expect((await run('docker', '--print')).out).not.toContain('Warning')
    expect((await run('docker', '--undo')).out).not.toContain('Warning')
    expect(asked).toHaveLength(1)
  })

  it('restarts on request though no file is changed, also after an undo, when nobody knows what it has read', async () => {
    await run('containerd')
    const impossible = { code: 1, err: 'shoal: systemd does not run containerd here: restart it by hand.\n' }
    expect(await run('containerd', '--restart')).toMatchObject({
      ...impossible,
      out: expect.stringContaining('containerd was set up already.\n'),
    })
    await run('containerd', '--undo')
    expect(await run('containerd', '--undo', '--restart')).toMatchObject(impossible)
    expect((await run('podman', '--restart')).out).toContain('podman is no daemon: there is nothing to restart.')
  })

  it('does not restart a daemon that has read its files as they are', async () => {
    await run('containerd')
    const proc = join(root, 'proc')
    mkdirSync(join(proc, 'self/ns'), { recursive: true })
    symlinkSync('mnt:[1]', join(proc, 'self/ns/mnt'))
    writeFileSync(join(proc, 'stat'), 'btime 1700000000\n')
    mkdirSync(join(proc, '7/ns'), { recursive: true })
    symlinkSync('mnt:[1]', join(proc, '7/ns/mnt'))
    writeFileSync(join(proc, '7/comm'), 'containerd\n')
    writeFileSync(join(proc, '7/cmdline'), 'containerd\0')
    writeFileSync(join(proc, '7/stat'), `7 (containerd) S ${'0 '.repeat(18)}6000 7\n`)
    const file = join(root, 'etc/containerd/config.toml')
    utimesSync(file, 1_700_000_030, 1_700_000_030)
    expect(await run('containerd', '--restart')).toEqual({
      code: 0,
      err: '',
      out: expect.stringContaining('already: not restarted.\n'),
    })
    utimesSync(file, 1_700_000_090, 1_700_000_090)
    expect(await run('containerd', '--restart')).toMatchObject({ code: 1 })
    // what is undone has to be read
    utimesSync(file, 1_700_000_030, 1_700_000_030)
    expect(await run('containerd', '--undo', '--restart')).toMatchObject({ code: 1 })
  })

  it('ends with 1 when a daemon that should be restarted can not be', async () => {
    const { code, err } = await run('containerd', '--restart')
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('restart it by hand') })
    expect((await run('crio', '--restart', '--no-reload')).code).toBe(0)
  })

  it('ends with 1 and changes nothing when it can not be done', async () => {
    writeFileSync(join(root, 'etc/docker/daemon.json'), '{')
    const { code, err } = await run('docker')
    expect({ code, err }).toEqual({
      code: 1,
      err: 'shoal: /etc/docker/daemon.json is not JSON: line 1, column 2: CloseBraceExpected. Nothing was changed.\n',
    })
    expect(daemonJson()).toBe('{')
  })

  it('needs no configuration to take a setting back', async () => {
    await run('docker')
    Object.defineProperty(config, 'facade', {
      get: () => {
        throw new ShoalError('CONFIG_INVALID', 'broken')
      },
    })
    expect((await run('docker', '--undo')).code).toBe(0)
    expect(await run('docker')).toMatchObject({ code: 1, err: 'shoal: broken\n' })
  })

  it.each([
    [[]],
    [['lxc']],
    [['docker', 'podman']],
    [['docker', '--undo', '--print']],
    [['docker', '--dry-run', '--print']],
    [['docker', '--undo', '--registry', 'quay.io']],
    [['docker', '--registry', 'a b']],
    [['docker', '--registry']],
    [['docker', '--file', 'daemon.json']],
    [['docker', '--mirror', 'ftp://x']],
    [['docker', '--mirror', 'http://x/path']],
  ])('ends with 2 when it is called wrongly: %j', async (args) => {
    const { code, err } = await run(...args)
    expect(code).toBe(2)
    expect(err).not.toBe('')
    expect(daemonJson()).toBe(BEFORE)
  })

  it('ends with 2 when the agent chooses its port and nobody says which', async () => {
    config = { ...config, facade: { host: '127.0.0.1', port: 0 } }
    expect(await run('docker')).toMatchObject({ code: 2, err: expect.stringContaining('--mirror') })
    expect(daemonJson()).toBe(BEFORE)
  })
})
