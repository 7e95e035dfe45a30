import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeDirectory } from '../../../src/store/make-directory.ts'

describe('makeDirectory', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'shoal-mkdir-'))
  })
  afterEach(() => {
    chmodSync(root, 0o700)
    rmSync(root, { recursive: true })
  })

  it('makes a directory and those it is in, for nobody else, once or again', () => {
    const dir = join(root, 'a', 'b', 'c')
    makeDirectory(dir)
    makeDirectory(`${dir}/`)
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    expect(statSync(join(root, 'a')).mode & 0o777).toBe(0o700)
  })

  it('follows a link to a directory', () => {
    symlinkSync(root, join(root, 'link'))
    makeDirectory(join(root, 'link', 'below'))
    expect(statSync(join(root, 'below')).isDirectory()).toBe(true)
  })

  it('says what is in the way', () => {
    writeFileSync(join(root, 'file'), '')
    symlinkSync(join(root, 'nowhere'), join(root, 'dangling'))
    symlinkSync('round', join(root, 'round'))
    const code = (code: string, text = ''): unknown =>
      expect.objectContaining({ code, message: expect.stringContaining(text) })
    expect(() => makeDirectory(join(root, 'file'))).toThrow(code('EEXIST'))
    expect(() => makeDirectory(join(root, 'file', 'below'))).toThrow(
      code('EEXIST', `${join(root, 'file')} is no directory`),
    )
    expect(() => makeDirectory(join(root, 'dangling'))).toThrow(code('EEXIST', 'leads nowhere'))
    expect(() => makeDirectory(join(root, 'dangling', 'below'))).toThrow(code('EEXIST'))
    expect(() => makeDirectory(join(root, 'round', 'below'))).toThrow(code('ELOOP'))
    expect(() => makeDirectory(join(root, 'x'.repeat(300), 'below'))).toThrow(code('ENAMETOOLONG'))
  })

  // in a process of its own: what it guards against never gives the thread back
  it.runIf(process.platform === 'linux').each(['/proc/shoal', '/proc/shoal/deep/er', '/sys/shoal/deep'])(
    'gives up on %s',
    (dir) => {
      const module = new URL('../../../src/store/make-directory.ts', import.meta.url).href
      const script = `import { makeDirectory } from ${JSON.stringify(module)}
        try { makeDirectory(${JSON.stringify(dir)}) } catch ({ code }) { console.log(code) }`
      const { stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
        encoding: 'utf8',
        timeout: 10_000,
      })
      expect({ signal, code: stdout.trim() }).toEqual({
        signal: null,
        code: expect.stringMatching(/^(ENOENT|EPERM|EACCES|EROFS)$/),
      })
    },
  )
})
