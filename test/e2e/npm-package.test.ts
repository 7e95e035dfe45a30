import { createHash, randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Child, missing, run } from '../fixtures/child.ts'

const root = join(import.meta.dirname, '../..')
const NODE = join(root, 'node_modules/.bin/node')
const PACKED_FROM = [
  'bin',
  'src',
  'config',
  'scripts',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
]
const COLD_MS = 120_000

describe.skipIf(missing(['npm', 'setsid'], { root: false }) !== undefined)('the npm package', () => {
  let dir: string
  let shoal: string
  let archive: string
  /** A PATH on which `node` is one that is too old. */
  let oldPath: string
  const path = process.env['PATH'] ?? ''

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-package-'))
    const checkout = join(dir, 'checkout')
    await Promise.all(PACKED_FROM.map((name) => cp(join(root, name), join(checkout, name), { recursive: true })))
    await symlink(join(root, 'node_modules'), join(checkout, 'node_modules'))
    const env = { PATH: `${dirname(NODE)}${delimiter}${path}` }
    await run('sh', ['-ec', 'cd "$1" && npm pack --silent --pack-destination "$2"', 'sh', checkout, dir], {
      env,
      timeoutMs: COLD_MS,
    })
    archive = join(dir, (await readdir(dir)).find((name) => name.endsWith('.tgz')) ?? '')
    await mkdir(join(dir, 'clean'))
    const install = 'cd "$1" && npm install --silent --no-audit --no-fund --omit=optional --prefer-offline "$2"'
    await run('sh', ['-ec', install, 'sh', join(dir, 'clean'), archive], { env, timeoutMs: COLD_MS })
    shoal = join(dir, 'clean/node_modules/.bin/shoal')
    await mkdir(join(dir, 'old'))
    await writeFile(join(dir, 'old/node'), '#!/bin/sh\necho v20.19.0\n', { mode: 0o755 })
    oldPath = `${join(dir, 'old')}:/usr/bin:/bin`
  }, 2 * COLD_MS)
  afterAll(() => rm(dir, { recursive: true, force: true }))

  it('holds the versions that were tested, and nothing that Node would have to strip types from', async () => {
    const files = await readdir(join(dir, 'clean/node_modules/shoal'), { recursive: true })
    expect(files).toEqual(
      expect.arrayContaining(['bin/shoal', 'dist/main.js', 'npm-shrinkwrap.json', 'config/systemd/shoal.service']),
    )
    const assets = (await readdir(join(root, 'src'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && !/\.(?:ts|md)$/.test(entry.name))
      .map(({ parentPath, name }) => join('dist', relative(join(root, 'src'), parentPath), name))
    expect(files).toEqual(expect.arrayContaining(assets))
    expect(files.filter((file) => file.endsWith('.ts') || file.startsWith('test'))).toEqual([])
  })

  it('runs an agent that reads its store, and commands through npx', async () => {
    const data = join(dir, 'data')
    const content = randomBytes(600 * 1024)
    const hex = createHash('sha256').update(content).digest('hex')
    await mkdir(join(data, 'blobs/sha256', hex.slice(0, 2)), { recursive: true })
    await writeFile(join(data, 'blobs/sha256', hex.slice(0, 2), hex), content)
    const env = { PATH: `${dirname(NODE)}${delimiter}${path}`, HOME: dir }
    const listens = ['facade', 'admin'].flatMap((section) => ['--set', `${section}.listen=127.0.0.1:0`])
    const agent = Child.start(
      shoal,
      ['agent', '--set', `store.dir=${data}`, '--set', 'swarm.enabled=false', ...listens],
      { env },
    )
    try {
      const [line] = await agent.until(/^\{.*"msg":"ready".*\}$/m)
      const [admin = ''] = (JSON.parse(line) as { admin: string[] }).admin
      const npx = (...args: string[]): Promise<string> =>
        run(
          'sh',
          [
            '-ec',
            'cd "$1" && shift && exec npx --offline shoal "$@"',
            'sh',
            join(dir, 'clean'),
            ...args,
            '--admin',
            admin,
          ],
          { env },
        )
      expect(JSON.parse(await npx('status', '--json'))).toMatchObject({ ready: true, store: { blobs: 1 } })
      // read again by the hash threads, which are files of their own
      expect(await npx('verify')).toMatch(/^1 blob, 600 KiB, .*: 0 bad$/m)
      expect((await fetch(`http://${admin}/`)).status).toBe(200)
      expect(JSON.parse(await npx('blobs', '--json'))).toMatchObject([{ digest: `sha256:${hex}` }])
    } finally {
      expect(await agent.stop()).toBe(0)
    }
  })

  it('runs an agent from the archive alone, as the quick start has it', { timeout: COLD_MS }, async () => {
    const page = await readFile(join(root, 'docs/quick-start.md'), 'utf8')
    const [, name, rest = ''] = /`npx -y \.\/(shoal-[\d.]+\.tgz)( agent)`/.exec(page) ?? []
    expect(basename(archive)).toBe(name)
    // npx keeps what it installed by the name of the archive: with a cache of its own it can't run an older one
    const downloads = (await run('npm', ['config', 'get', 'cache'])).trim()
    await mkdir(join(dir, 'cache'))
    await symlink(join(downloads, '_cacache'), join(dir, 'cache/_cacache'))
    const env = {
      PATH: `${dirname(NODE)}${delimiter}${path}`,
      npm_config_cache: join(dir, 'cache'),
      SHOAL_STORE__DIR: join(dir, 'data-of-npx'),
      SHOAL_SWARM__ENABLED: 'false',
      SHOAL_FACADE__LISTEN: '127.0.0.1:0',
      SHOAL_ADMIN__LISTEN: '127.0.0.1:0',
    }
    // npx does not hand on signals to all that it starts: they get theirs as a group
    const agent = Child.start(
      'setsid',
      ['sh', '-ec', `cd "$1" && exec npx -y --prefer-offline ./"$2"${rest}`, 'sh', dir, basename(archive)],
      { env },
    )
    try {
      const [line] = await agent.until(/^\{.*"msg":"ready".*\}$/m, COLD_MS)
      const [admin = ''] = (JSON.parse(line) as { admin: string[] }).admin
      expect((await fetch(`http://${admin}/readyz`)).status).toBe(200)
    } finally {
      process.kill(-(agent.pid ?? 0), 'SIGTERM')
      await agent.exited
    }
  })

  it('says what to do on a host whose Node is too old', async () => {
    const failure = run(shoal, ['--version'], { env: { PATH: oldPath } })
    await expect(failure).rejects.toThrow(
      /exit 1\nshoal: needs Node 24 or later\.\n.*old\/node is v20\.19\.0[^]*npm install shoal node@24/,
    )
  })

  it('takes the npm package `node` where it is installed beside it, or the one that is named', async () => {
    const named = await run(shoal, ['--version'], { env: { PATH: oldPath, SHOAL_NODE: await realpath(NODE) } })
    await symlink(await realpath(NODE), join(dir, 'clean/node_modules/.bin/node'))
    const beside = await run(shoal, ['--version'], { env: { PATH: oldPath } })
    expect(beside).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(named).toBe(beside)
  })
})
