import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DataDirLock } from '../../../src/store/data-dir-lock.ts'

describe('DataDirLock', () => {
  let root: string
  let dir: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'shoal-lock-'))
    dir = join(root, 'data')
  })
  afterEach(async () => {
    await rm(root, { recursive: true })
  })

  it('keeps a second agent out, naming the directory and the holder, until it is released', () => {
    using first = new DataDirLock({ dir })
    using second = new DataDirLock({ dir })
    first.acquire()
    first.acquire()
    const locked = { code: 'STORE_LOCKED', message: expect.stringContaining(dir), detail: { dir, pid: process.pid } }
    expect(() => second.acquire()).toThrow(expect.objectContaining(locked))
    first.release()
    second.acquire()
  })

  it('is not kept out by a lock file that is no lock file', async () => {
    using first = new DataDirLock({ dir })
    first.acquire()
    first.release()
    await writeFile(join(dir, 'lock.sqlite'), 'x'.repeat(5000))
    using second = new DataDirLock({ dir })
    second.acquire()
    expect(() => first.acquire()).toThrow(expect.objectContaining({ code: 'STORE_LOCKED' }))
  })

  it('says that a directory cannot be used', async () => {
    await writeFile(dir, 'a file')
    const unusable = { code: 'STORE_FAILED', message: expect.stringMatching(`^store\\.dir: .*${dir}.*EEXIST`) }
    expect(() => new DataDirLock({ dir }).acquire()).toThrow(expect.objectContaining(unusable))
  })
})
