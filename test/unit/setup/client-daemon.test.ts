import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ClientDaemon } from '../../../src/setup/client-daemon.ts'
import { CLIENTS } from '../../../src/setup/client-kinds.ts'
import { HostFiles } from '../../../src/setup/host-files.ts'
import { Child, findProgram } from '../../fixtures/child.ts'

const { signal } = new AbortController()
const DAEMON_JSON = '/etc/docker/daemon.json'
const SAYS_HUP = "trap 'echo hup' HUP; echo ready; while true; do sleep 0.05; done"

let root: string
const children: Child[] = []

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal-daemon-'))
  await mkdir(join(root, 'run'))
})
afterEach(async () => {
  for (const child of children.splice(0)) await child.stop('SIGKILL')
  await rm(root, { recursive: true })
})

/** A shell under the name of a daemon, with a pid file. */
async function start(program: string, ...args: string[]): Promise<Child> {
  const file = join(root, program)
  if (!existsSync(file)) await copyFile(findProgram('sh') ?? '/bin/sh', file)
  const child = Child.start(file, ['-c', SAYS_HUP, ...args])
  children.push(child)
  await child.until(/ready/)
  await writeFile(join(root, 'run/docker.pid'), `${child.pid}\n`)
  return child
}

function daemonOf(client: 'docker' | 'containerd' | 'crio'): ClientDaemon {
  const { daemon } = CLIENTS[client]
  if (daemon === undefined) throw new Error('no daemon')
  return new ClientDaemon({ files: new HostFiles({ root }) }, { daemon })
}

describe('ClientDaemon', () => {
  it('signals the process of the pid file', async () => {
    const child = await start('dockerd')
    const outcome = await daemonOf('docker').reload({ signal })
    expect(outcome).toEqual({ done: true, failed: false, message: expect.stringContaining(String(child.pid)) })
    await child.until(/hup/)
  })

  it('signals no process of another name', async () => {
    const child = await start('other')
    const outcome = await daemonOf('docker').reload({ signal })
    expect(outcome).toMatchObject({ done: false, failed: false })
    expect(outcome.message).toContain(
      `dockerd was not found (by /run/docker.pid and /var/run/docker.pid below ${root})`,
    )
    expect(child.output).not.toContain('hup')
  })

  it.each(['', '0', '1', '-1', '99999999', 'x', '1e3', '12 13'])('does nothing for the pid file %j', async (text) => {
    await writeFile(join(root, 'run/docker.pid'), text)
    expect(await daemonOf('docker').reload({ signal })).toMatchObject({ done: false, failed: false })
  })

  it('says what to do for a daemon that reads its file only when it starts, or that systemd does not run', async () => {
    const containerd = daemonOf('containerd')
    const reloaded = await containerd.reload({ signal })
    expect(reloaded).toMatchObject({ done: false, failed: false, message: expect.stringContaining('--restart') })
    expect(await containerd.restart({ signal })).toMatchObject({ done: false, failed: true })
  })

  it.each([
    [['--registry-mirror=https://a'], 'dockerd runs with --registry-mirror'],
    [['--registry-mirror', 'https://a'], 'dockerd runs with --registry-mirror'],
    [['--config-file', '/x.json'], 'run this with --file /x.json'],
    [['--config-file=/x.json'], 'run this with --file /x.json'],
  ])('refuses a docker that runs with %j', async (args, message) => {
    await start('dockerd', ...args)
    expect(() => daemonOf('docker').checkCommandLine(DAEMON_JSON)).toThrow(message)
  })

  it.each([
    ['/x.json', ['--config-file', '/x.json']],
    ['/etc/x.json', ['--config-file=/etc//x.json']],
    [DAEMON_JSON, ['--debug']],
  ])('takes a docker that reads %s', async (file, args) => {
    await start('dockerd', ...args)
    expect(() => daemonOf('docker').checkCommandLine(file)).not.toThrow()
  })

  it('takes a docker that reads the file below the root', async () => {
    await start('dockerd', '--config-file', join(root, 'x.json'))
    expect(() => daemonOf('docker').checkCommandLine('/x.json')).not.toThrow()
  })

  it('asks nothing of a docker that does not run', () => {
    expect(() => daemonOf('docker').checkCommandLine('/x.json')).not.toThrow()
  })
})
