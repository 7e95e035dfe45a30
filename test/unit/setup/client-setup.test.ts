import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ClientSetup, diffOf } from '../../../src/setup/client-setup.ts'
import { HostFiles } from '../../../src/setup/host-files.ts'
import { CLIENT_NAMES, type ClientName, type PlanInit } from '../../../src/setup/setup-types.ts'
import { PLAN_INIT } from '../../fakes/setup-inits.ts'

const DAEMON_JSON = '/etc/docker/daemon.json'
const CONFIG = '/etc/containerd/config.toml'
const HOSTS = '/etc/containerd/certs.d/quay.io/hosts.toml'
const SHOAL_CONF = '/etc/containers/registries.conf.d/50-shoal.conf'
const isRoot = process.getuid?.() === 0

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal-setup-'))
})
afterEach(() => rmSync(root, { recursive: true }))

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
  chmodSync(join(root, path), mode)
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

function setup(client: ClientName, init: Partial<PlanInit> = {}) {
  const one = new ClientSetup({ files: new HostFiles({ root }) }, { client })
  const step = one.planSetup({ ...PLAN_INIT, ...init })
  one.apply(step.changes)
  return step
}

function undo(client: ClientName) {
  const one = new ClientSetup({ files: new HostFiles({ root }) }, { client })
  const step = one.planUndo({ file: undefined })
  one.apply(step.changes)
  return step
}

/** Everything below the root: names, contents, modes, owners. */
function world(): Record<string, unknown> {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted()
  const entries = names.map((name) => {
    const path = join(root, name)
    const { mode, uid, gid } = lstatSync(path)
    const isFile = lstatSync(path).isFile()
    return [name, { mode, uid, gid, text: isFile ? readFileSync(path, 'utf8') : undefined }] as const
  })
  return Object.fromEntries(entries)
}

describe('ClientSetup', () => {
  it.each(CLIENT_NAMES)('of %s makes what it needs on an empty host, and leaves nothing behind', (client) => {
    const before = world()
    expect(setup(client).changes).not.toHaveLength(0)
    expect(world()).not.toEqual(before)
    undo(client)
    expect(world()).toEqual(before)
    expect(undo(client).changes).toEqual([])
  })

  it.each(CLIENT_NAMES)('of %s is the same twice as once', (client) => {
    write(DAEMON_JSON, '{ "debug": true }')
    write(CONFIG, 'version = 2 # ours\n')
    write(HOSTS, '[host."https://a"]\n')
    write('/etc/containers/registries.conf', '[[registry]]\nlocation = "quay.io"\n')
    const before = world()
    setup(client)
    const once = world()
    expect(setup(client).changes).toEqual([])
    expect(world()).toEqual(once)
    undo(client)
    expect(world()).toEqual(before)
  })

  it('restores bytes, modes and owners of any files', () => {
    const json = fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.jsonValue(),
    )
    const daemon = fc
      .tuple(json, fc.constantFrom(0, 2, '\t'))
      .map(([value, indent]) => JSON.stringify(value, undefined, indent))
    const end = fc.constantFrom('', '\n', '\n\n', '\r\n')
    const config = fc.constantFrom('', '# x', 'version = 2', 'version = 3\n# c\n[plugins]', 'root = "/x"')
    const hosts = fc.constantFrom('', 'server = "https://q"', '# a\n[host."https://a"]\n  ca = "x" # c', '[host]')
    const conf = fc.constantFrom('', '[[registry]]\nlocation = "docker.io"', '# c')
    const mode = fc.constantFrom(0o600, 0o640, 0o644, 0o444)
    fc.assert(
      fc.property(
        daemon,
        config,
        hosts,
        conf,
        end,
        mode,
        (...[daemonText, configText, hostsText, confText, lineEnd, bits]) => {
          rmSync(join(root, 'etc'), { recursive: true, force: true })
          write(DAEMON_JSON, daemonText + lineEnd, bits)
          write(CONFIG, configText + lineEnd, bits)
          write(HOSTS, hostsText + lineEnd, bits)
          write(SHOAL_CONF, confText + lineEnd, bits)
          if (isRoot) for (const path of [DAEMON_JSON, HOSTS]) chownSync(join(root, path), 1000, 1001)
          const before = world()
          for (const client of ['docker', 'containerd', 'podman'] as const) setup(client)
          const after = world()
          for (const client of ['docker', 'containerd', 'crio'] as const) setup(client)
          expect(world()).toEqual(after)
          for (const client of ['docker', 'containerd', 'crio'] as const) undo(client)
          expect(world()).toEqual(before)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('keeps mode and owner of the file, and what it was only for its owner', () => {
    write(DAEMON_JSON, '{}', 0o640)
    if (isRoot) chownSync(join(root, DAEMON_JSON), 1000, 1001)
    const { mode, uid, gid } = lstatSync(join(root, DAEMON_JSON))
    setup('docker')
    expect(lstatSync(join(root, DAEMON_JSON))).toMatchObject({ mode, uid, gid })
    expect(lstatSync(join(root, `${DAEMON_JSON}.shoal-undo`)).mode & 0o777).toBe(0o600)
  })

  it('takes the first original along when the mirror moves', () => {
    write(DAEMON_JSON, '{"debug":true}')
    const before = world()
    setup('docker')
    setup('docker', { mirror: { url: 'http://127.0.0.1:6000', address: '127.0.0.1:6000', plainHttp: true } })
    expect(JSON.parse(read(DAEMON_JSON))).toEqual({ debug: true, 'registry-mirrors': ['http://127.0.0.1:6000'] })
    undo('docker')
    expect(world()).toEqual(before)
  })

  it('keeps registries of an earlier call', () => {
    mkdirSync(join(root, 'etc'))
    const before = world()
    setup('containerd', { registries: ['quay.io'] })
    setup('containerd', { registries: ['ghcr.io'] })
    setup('podman', { registries: ['quay.io'] })
    setup('podman', { registries: ['ghcr.io'] })
    const mirror = { url: 'http://127.0.0.1:6000', address: '127.0.0.1:6000', plainHttp: true }
    setup('containerd', { registries: ['ghcr.io'], mirror })
    expect(read('/etc/containerd/certs.d/quay.io/hosts.toml')).toContain('6000')
    expect(read(SHOAL_CONF)).toMatch(/ghcr\.io[^]*quay\.io/)
    undo('containerd')
    undo('podman')
    expect(world()).toEqual(before)
  })

  it('takes out only its own part of files that were edited since, and says so', () => {
    write(DAEMON_JSON, '{\n  "debug": true\n}\n', 0o600)
    write(CONFIG, 'version = 2\n')
    setup('docker')
    setup('containerd')
    write(DAEMON_JSON, read(DAEMON_JSON).replace('5050"', '5050",\n    "https://a"').replace('true', 'false'), 0o640)
    write(CONFIG, `# edited\n${read(CONFIG)}\n[grpc]\n`)
    const hosts = '/etc/containerd/certs.d/_default/hosts.toml'
    write(hosts, `${read(hosts)}\n[host."https://a"]\n`)
    expect(undo('docker').notes.join()).toContain(`${DAEMON_JSON} was edited since`)
    expect(undo('containerd').notes).toHaveLength(2)
    expect(JSON.parse(read(DAEMON_JSON))).toEqual({ debug: false, 'registry-mirrors': ['https://a'] })
    expect(lstatSync(join(root, DAEMON_JSON)).mode & 0o777).toBe(0o640)
    expect(read(CONFIG)).toBe('# edited\nversion = 2\n\n[grpc]\n')
    expect(read(hosts)).toBe('\n[host."https://a"]\n')
    expect(Object.keys(world()).filter((name) => name.includes('undo'))).toEqual([])
  })

  it('keeps later edits when it is set up again, and when that is undone', () => {
    write(CONFIG, 'version = 2\n')
    setup('containerd')
    write(CONFIG, `${read(CONFIG)}\n[grpc]\n`)
    const edited = read(CONFIG)
    setup('containerd')
    expect(read(CONFIG).split('\n').toSorted()).toEqual(edited.split('\n').toSorted())
    undo('containerd')
    expect(read(CONFIG)).toBe('version = 2\n\n[grpc]\n')
  })

  it('refuses to undo what was edited in its own part, and leaves everything as it is', () => {
    setup('containerd')
    const hosts = '/etc/containerd/certs.d/_default/hosts.toml'
    write(hosts, read(hosts).replace('"resolve"', '"push"'))
    const before = world()
    expect(() => undo('containerd')).toThrow('Take out 127.0.0.1:5050 by hand')
    expect(() => undo('containerd')).toThrow(`${hosts}.shoal-undo`)
    expect(world()).toEqual(before)
    write(hosts, '')
    undo('containerd')
    expect(Object.keys(world()).at(-1)).toBe(hosts.slice(1))
  })

  it('does not set up again over an edit of its own part, and does so when nothing is to be changed', () => {
    setup('containerd')
    const hosts = '/etc/containerd/certs.d/_default/hosts.toml'
    write(hosts, read(hosts).replace('"resolve"', '"push"'))
    const before = world()
    expect(setup('containerd').changes).toEqual([])
    expect(world()).toEqual(before)
    const mirror = { url: 'http://127.0.0.1:6000', address: '127.0.0.1:6000', plainHttp: true }
    expect(() => setup('containerd', { mirror })).toThrow('Take it back first')
    expect(world()).toEqual(before)
  })

  it('gives back every byte after an undo that was cut off', () => {
    for (const text of [undefined, '{"debug":true}']) {
      if (text !== undefined) write(DAEMON_JSON, text)
      const before = world()
      setup('docker')
      const one = new ClientSetup({ files: new HostFiles({ root }) }, { client: 'docker' })
      const { between } = one.planUndo({ file: undefined })
      expect(JSON.parse(between?.next ?? '{}')).toHaveProperty('registry-mirrors', [])
      if (between !== undefined) one.apply([between])
      expect(world()).not.toEqual(before)
      expect(undo('docker').notes).toEqual([])
      expect(world()).toEqual(before)
    }
  })

  it('says what it leaves alone of a file from which somebody has taken the mirror', () => {
    write(DAEMON_JSON, '{"debug":true}')
    setup('docker')
    write(DAEMON_JSON, '{ "debug": false }')
    expect(undo('docker').notes.join()).toContain('it stays as it is')
    expect(read(DAEMON_JSON)).toBe('{ "debug": false }')
  })

  it('leaves a file removed that somebody has removed since', () => {
    write(DAEMON_JSON, '{}')
    setup('docker')
    unlinkSync(join(root, DAEMON_JSON))
    expect(undo('docker').notes.join()).toContain('stays so')
    expect(readdirSync(join(root, 'etc/docker'))).toEqual([])
  })

  it('drops the book of a change that was not made, or that somebody has undone by hand', () => {
    write(DAEMON_JSON, '{}')
    setup('docker')
    write(DAEMON_JSON, '{}')
    undo('docker')
    expect(readdirSync(join(root, 'etc/docker'))).toEqual(['daemon.json'])
    expect(read(DAEMON_JSON)).toBe('{}')
  })

  it('takes the state that was found, not the one in a book that is out of date', () => {
    write(DAEMON_JSON, '{}')
    setup('docker')
    write(DAEMON_JSON, '{"debug":true}')
    setup('docker')
    undo('docker')
    expect(JSON.parse(read(DAEMON_JSON))).toEqual({ debug: true })
  })

  it('changes no file when one of them is broken', () => {
    write(CONFIG, 'version = 2\n')
    write(HOSTS, '[host\n')
    const before = world()
    expect(() => setup('containerd')).toThrow(`${HOSTS} is not TOML: line`)
    expect(world()).toEqual(before)
  })

  it('changes no file when one of them can not be written', () => {
    write(CONFIG, 'version = 2\n')
    write('/etc/containerd/certs.d/_default', 'a file where a folder should be')
    const before = world()
    expect(() => setup('containerd')).toThrow('_default')
    expect(world()).toEqual(before)
  })

  it('changes no file when one was changed between reading and writing', () => {
    write(DAEMON_JSON, '{}')
    const one = new ClientSetup({ files: new HostFiles({ root }) }, { client: 'docker' })
    const step = one.planSetup(PLAN_INIT)
    write(DAEMON_JSON, '{"debug":true}')
    const before = world()
    expect(() => one.apply(step.changes)).toThrow('changed meanwhile')
    expect(world()).toEqual(before)
  })

  it('refuses a damaged book, and names it', () => {
    write(DAEMON_JSON, '{}')
    write(`${DAEMON_JSON}.shoal-undo`, '{"version":1,"before":7}')
    expect(() => undo('docker')).toThrow(`${DAEMON_JSON}.shoal-undo is damaged`)
    expect(() => setup('docker')).toThrow(`${DAEMON_JSON}.shoal-undo is damaged`)
  })

  it('writes through a link, which stays', () => {
    write('/opt/daemon.json', '{}')
    mkdirSync(join(root, 'etc/docker'), { recursive: true })
    symlinkSync('/opt/daemon.json', join(root, DAEMON_JSON))
    setup('docker')
    expect(readlinkSync(join(root, DAEMON_JSON))).toBe('/opt/daemon.json')
    expect(read('/opt/daemon.json')).toContain('5050')
    undo('docker')
    expect(read('/opt/daemon.json')).toBe('{}')
  })

  it('shows what it changes as a unified diff', () => {
    write(DAEMON_JSON, '{\n  "debug": true\n}\n')
    const [change] = setup('docker').changes
    expect(change && diffOf(change)).toBe(
      [
        `--- ${DAEMON_JSON}`,
        `+++ ${DAEMON_JSON}`,
        '@@ -1,3 +1,6 @@',
        ' {',
        '-  "debug": true',
        '+  "debug": true,',
        '+  "registry-mirrors": [',
        '+    "http://127.0.0.1:5050"',
        '+  ]',
        ' }',
        '',
      ].join('\n'),
    )
  })
})
