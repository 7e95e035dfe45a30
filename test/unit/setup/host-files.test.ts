import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HostFiles } from '../../../src/setup/host-files.ts'
import { run } from '../../fixtures/child.ts'

const NOBODY = 65_534

let dir: string
let files: HostFiles
const at = (...parts: string[]): string => join(dir, 'root', ...parts)

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-host-files-'))
  await mkdir(at('etc'), { recursive: true })
  files = new HostFiles({ root: at() })
})
afterEach(() => rm(dir, { recursive: true }))

function replace(path: string, text: string, attributes?: { mode: number; uid: number; gid: number }): void {
  files.replace(path, files.stage(path, text, attributes))
}

describe('HostFiles', () => {
  it('reads a text with its mode and owner, and nothing where there is none', async () => {
    await writeFile(at('etc/a'), '\ufeffä\r\n', { mode: 0o640 })
    expect(files.read('/etc/a')).toMatchObject({ text: '\ufeffä\r\n', mode: 0o640, uid: process.getuid?.() })
    expect(files.read('/etc/none')).toBeUndefined()
    expect(files.read('/etc/a/b')).toBeUndefined()
    expect(files.names('/etc')).toEqual(['a'])
    expect(files.names('/none')).toEqual([])
  })

  it('gives a new file the usual mode whatever the umask is, and a replaced one what it is told', async () => {
    const umask = process.umask(0o077)
    try {
      expect(files.makeDir('/etc/x/y')).toEqual(['/etc/x', '/etc/x/y'])
      replace('/etc/x/y/a', 'new')
    } finally {
      process.umask(umask)
    }
    expect((await stat(at('etc/x/y'))).mode & 0o777).toBe(0o755)
    expect((await stat(at('etc/x/y/a'))).mode & 0o777).toBe(0o644)
    replace('/etc/x/y/a', 'newer', { ...files.self(0o600) })
    expect((await stat(at('etc/x/y/a'))).mode & 0o777).toBe(0o600)
    expect(await readFile(at('etc/x/y/a'), 'utf8')).toBe('newer')
    expect(await readdir(at('etc/x/y'))).toEqual(['a'])
  })

  it('follows links, which stay, and none of them out of its root', async () => {
    await mkdir(at('opt'))
    await writeFile(at('opt/real'), 'old')
    await symlink('/opt/real', at('etc/absolute'))
    await symlink('../../../../../../opt', at('etc/up'))
    replace('/etc/absolute', 'new')
    expect(await readFile(at('opt/real'), 'utf8')).toBe('new')
    expect(files.read('/etc/up/real')?.text).toBe('new')
    expect(files.read('/../../etc/absolute')?.text).toBe('new')
    expect((await readdir(at('etc'))).toSorted()).toEqual(['absolute', 'up'])
  })

  it('refuses links that lead in a circle', async () => {
    await symlink('b', at('etc/a'))
    await symlink('a', at('etc/b'))
    expect(() => files.read('/etc/a')).toThrow('too many links')
  })

  it('refuses what is no text of a configuration, without waiting for it', async () => {
    await mkdir(at('etc/dir'))
    await run('mkfifo', [at('etc/pipe')])
    await writeFile(at('etc/latin1'), Buffer.from([0x61, 0xe4]))
    await writeFile(at('etc/large'), 'x'.repeat(5 * 1024 * 1024))
    for (const name of ['dir', 'pipe', 'latin1', 'large']) {
      const refusal = { code: 'SETUP_REFUSED', message: expect.stringContaining(`/etc/${name}`) as string }
      expect(() => files.read(`/etc/${name}`)).toThrow(expect.objectContaining(refusal))
    }
  })

  it.runIf(process.getuid?.() === 0)('names the file that only root may write', async () => {
    await chmod(dir, 0o755)
    await writeFile(at('etc/secret'), '', { mode: 0o600 })
    process.seteuid?.(NOBODY)
    try {
      expect(() => files.stage('/etc/a', '', undefined)).toThrow(
        'cannot write /etc/a: permission denied. Run it as root.',
      )
      expect(() => files.makeDir('/etc/x')).toThrow('cannot write /etc/x: permission denied')
      expect(() => files.read('/etc/secret')).toThrow('cannot read /etc/secret: permission denied')
    } finally {
      process.seteuid?.(0)
    }
    expect(await readdir(at('etc'))).toEqual(['secret'])
  })

  it('leaves a folder that somebody uses', async () => {
    files.makeDir('/etc/x')
    await writeFile(at('etc/x/a'), '')
    files.removeEmptyDir('/etc/x')
    expect(files.names('/etc/x')).toEqual(['a'])
    files.remove('/etc/x/a')
    files.remove('/etc/x/a')
    files.removeEmptyDir('/etc/x')
    files.removeEmptyDir('/etc/x')
    expect(files.names('/etc')).toEqual([])
  })
})
