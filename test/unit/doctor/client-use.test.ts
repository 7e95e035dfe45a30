import { once } from 'node:events'
import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clientUse } from '../../../src/doctor/client-use.ts'
import { parseMirror } from '../../../src/setup/mirror.ts'
import { processStart } from '../../../src/setup/process-start.ts'

const { signal } = new AbortController()
const mirror = parseMirror('http://127.0.0.1:5050')
const BOOTED = 1_700_000_000

let root: string
let proc: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal-use-'))
  proc = join(root, 'proc')
  mkdirSync(join(proc, 'self/ns'), { recursive: true })
  symlinkSync('mnt:[1]', join(proc, 'self/ns/mnt'))
  writeFileSync(join(proc, 'stat'), `cpu 1 2\nbtime ${BOOTED}\nprocesses 9\n`)
})
afterEach(() => rmSync(root, { recursive: true }))

/** A process that was started so many seconds after the boot. */
function addProcess(pid: number, seconds: number, { argv = ['containerd'], namespace = 'mnt:[1]' } = {}): void {
  const dir = join(proc, `${pid}`)
  mkdirSync(join(dir, 'ns'), { recursive: true })
  symlinkSync(namespace, join(dir, 'ns/mnt'))
  writeFileSync(join(dir, 'comm'), `${argv[0]}\n`)
  writeFileSync(join(dir, 'cmdline'), `${argv.join('\0')}\0`)
  const before = Array.from({ length: 18 }, (_, index) => index).join(' ')
  writeFileSync(join(dir, 'stat'), `${pid} (a) b) S ${before} ${seconds * 100} 7 8\n`)
}

const started = () => processStart({ program: 'containerd', configFile: '/etc/containerd/config.toml', proc })

describe('the start of a daemon', () => {
  it('is known from the boot and the ticks since', () => {
    addProcess(7, 60)
    addProcess(8, 90, { argv: ['containerd-shim', '-n', 'moby'] })
    expect(started()).toBe((BOOTED + 60) * 1000)
  })

  it('is not that of one with a file of its own, as docker has, or in a container', () => {
    addProcess(7, 60, { argv: ['containerd', '--config', '/var/run/docker/containerd/containerd.toml'] })
    addProcess(8, 60, { argv: ['containerd', '-c=/x.toml'] })
    addProcess(9, 60, { namespace: 'mnt:[2]' })
    expect(started()).toBeUndefined()
    addProcess(10, 99, { argv: ['containerd', '--config=/etc/containerd/config.toml'] })
    expect(started()).toBe((BOOTED + 99) * 1000)
  })

  it('is not known when there are two, or no /proc', () => {
    addProcess(7, 60)
    addProcess(8, 61)
    expect(started()).toBeUndefined()
    expect(processStart({ program: 'containerd', configFile: '/x', proc: join(root, 'nowhere') })).toBeUndefined()
  })
})

describe('docker', () => {
  const use = () => clientUse({ client: 'docker', mirror, root }, { signal })

  it.each([
    [['http://127.0.0.1:5050/'], 'yes'],
    [['http://127.0.0.1:5051/', 'http://127.0.0.1:5050/'], 'yes'],
    [['http://127.0.0.1:5051/'], 'no'],
    [[], 'no'],
  ])('that says it asks %j', async (mirrors, state) => {
    mkdirSync(join(root, 'run'))
    const api = createServer((_, response) => response.end(JSON.stringify({ RegistryConfig: { Mirrors: mirrors } })))
    api.listen(join(root, 'run/docker.sock'))
    await once(api, 'listening')
    expect(await use()).toMatchObject({ state })
    api.close()
  })

  it('is not known while it does not run', async () => {
    expect(await use()).toEqual({ state: 'unknown' })
  })
})

describe('containerd', () => {
  const use = () => clientUse({ client: 'containerd', mirror, root }, { signal })
  const changed = (seconds: number): void => {
    const file = join(root, 'etc/containerd/config.toml')
    mkdirSync(join(root, 'etc/containerd'), { recursive: true })
    writeFileSync(file, 'version = 2\n')
    utimesSync(file, BOOTED + seconds, BOOTED + seconds)
  }

  it('has not read a config.toml that was changed after its start', async () => {
    addProcess(7, 60)
    changed(90)
    const advice = expect.stringContaining('systemctl restart containerd')
    const why = 'its config.toml was changed after it started: it may not have read it'
    expect(await use()).toEqual({ state: 'no', why, since: (BOOTED + 90) * 1000, advice })
  })

  it('may have read one that was changed before, or within the second', async () => {
    addProcess(7, 60)
    for (const seconds of [0, 59, 61]) {
      changed(seconds)
      expect(await use()).toEqual({ state: 'unknown' })
    }
  })

  it('is not known without a process, or without a config.toml', async () => {
    changed(90)
    expect(await use()).toEqual({ state: 'unknown' })
    rmSync(join(root, 'etc'), { recursive: true })
    addProcess(7, 60)
    expect(await use()).toEqual({ state: 'unknown' })
  })
})
