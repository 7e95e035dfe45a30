import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DiskWatch } from '../../../src/store/disk-watch.ts'

describe('DiskWatch', () => {
  let root: string
  let rooms: number[]
  const watchOf = (dir: string): DiskWatch =>
    new DiskWatch(
      { writes: { hasRoom: (bytes) => void rooms.push(bytes) }, evictableBytes: () => 0 },
      { dir, everyMs: 1 },
    )
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'shoal-watch-'))
    rooms = []
  })
  afterEach(async () => {
    await rm(root, { recursive: true })
  })

  it('tells what is free, nothing while the directory is gone, and nothing more when it is stopped', async () => {
    const dir = join(root, 'data')
    const watch = watchOf(dir)
    watch.start()
    watch.start()
    await expect.poll(() => rooms.at(-1)).toBe(0)
    await mkdir(dir)
    await expect.poll(() => rooms.at(-1)).toBeGreaterThan(0)
    watch.stop()
    const told = rooms.length
    const other = watchOf(join(root, 'none'))
    other.start()
    await expect.poll(() => rooms.at(-1)).toBe(0)
    other.stop()
    expect(rooms.slice(told).every((bytes) => bytes === 0)).toBe(true)
  })
})
