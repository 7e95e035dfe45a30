import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missing, run } from '../fixtures/child.ts'

const root = join(import.meta.dirname, '../..')
const INSTALL = join(root, 'scripts/install')

describe.skipIf(missing(['npm'], { root: false }) !== undefined)('scripts/install', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-install-'))
    // a second time is an upgrade
    for (let times = 0; times < 2; times += 1) await run(INSTALL, [], { env: { DESTDIR: dir }, timeoutMs: 120_000 })
  }, 250_000)
  afterAll(() => rm(dir, { recursive: true, force: true }))

  it('brings a Node of its own', async () => {
    const said = await run(join(dir, 'opt/shoal/bin/shoal'), ['--version'], {
      env: { PATH: '/usr/bin:/bin', SHOAL_NODE: undefined },
    })
    expect(said).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(await readdir(join(dir, 'opt'))).toEqual(['shoal'])
    expect(await readdir(join(dir, 'opt/shoal/node_modules'))).not.toContain('vitest')
  })

  it('puts the command where the unit looks for it', async () => {
    const unit = await run('cat', [join(dir, 'etc/systemd/system/shoal.service')])
    const [, command = ''] = /^ExecStart=(\S+) agent$/m.exec(unit) ?? []
    expect(await run('readlink', [join(dir, command)])).toBe('/opt/shoal/bin/shoal\n')
  })

  it('leaves only the configuration when it is taken back', async () => {
    await run(INSTALL, ['--undo'], { env: { DESTDIR: dir } })
    const files = await readdir(dir, { recursive: true, withFileTypes: true })
    expect(files.filter((file) => !file.isDirectory())).toEqual([])
    expect(await readdir(join(dir, 'etc'))).toContain('shoal')
  })
})
