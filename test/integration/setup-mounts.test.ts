import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { missing, run } from '../fixtures/child.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal setup-'))
  await mkdir(join(root, 'etc/containerd/certs.d'), { recursive: true })
  await writeFile(join(root, 'etc/containerd/config.toml'), 'version = 2\n')
})
afterEach(() => rm(root, { recursive: true }))

/** `shoal setup containerd` behind a mount that only it sees. */
function setup(mount: string): Promise<string> {
  const command = [process.execPath, MAIN, 'setup', 'containerd', '--root', root]
  return run('unshare', ['--mount', 'sh', '-ec', `${mount}; shift; exec "$@"`, 'sh', join(root, 'etc'), ...command])
}

async function expectUnchanged(): Promise<void> {
  expect(await readFile(join(root, 'etc/containerd/config.toml'), 'utf8')).toBe('version = 2\n')
  expect(await readdir(join(root, 'etc/containerd'), { recursive: true })).toEqual(['certs.d', 'config.toml'])
}

describe.skipIf(missing(['unshare', 'mount'], { root: true }) !== undefined)('shoal setup on odd mounts', () => {
  it('changes no file when one is a mount of its own', async () => {
    const mount = 'mount --bind "$1/containerd/config.toml" "$1/containerd/config.toml"'
    await expect(setup(mount)).rejects.toThrow('config.toml: it is a mount of its own')
    await expectUnchanged()
  })

  it('changes no file on a read-only file system', async () => {
    await expect(setup('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"')).rejects.toThrow('is read-only')
    await expectUnchanged()
  })

  it('changes no file on a full disk', async () => {
    const fill = 'head -c 100000 /dev/zero > "$1/containerd/certs.d/fill" 2>&1 || true'
    const mount = `mount -t tmpfs -o size=16k tmpfs "$1/containerd/certs.d" && { ${fill}; } 2>/dev/null`
    await expect(setup(mount)).rejects.toThrow('the disk is full')
    await expectUnchanged()
  })
})
