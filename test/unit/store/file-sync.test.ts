import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FileSync } from '../../../src/store/file-sync.ts'

let dir: string
let handle: FileHandle
let started: PromiseWithResolvers<void>[]
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-sync-'))
  handle = await open(join(dir, 'file'), 'w')
  started = []
  handle.datasync = () => {
    const sync = Promise.withResolvers<void>()
    started.push(sync)
    return sync.promise
  }
})
afterEach(async () => {
  await handle.close()
  await rm(dir, { recursive: true })
})

it('runs two syncs at a time and lets the others wait, also after one failed', async () => {
  const sync = new FileSync()
  const results = Promise.allSettled([sync.data(handle), sync.data(handle), sync.data(handle), sync.directory(dir)])
  expect(started.length).toBe(2)
  expect(await sync.dataIfIdle(handle)).toBe(false)
  started[0]?.reject(new Error('broken'))
  await expect.poll(() => started.length).toBe(3)
  started[1]?.resolve()
  started[2]?.resolve()
  const outcomes = (await results).map((result) => result.status)
  expect(outcomes).toEqual(['rejected', 'fulfilled', 'fulfilled', 'fulfilled'])
  const idle = sync.dataIfIdle(handle)
  started[3]?.resolve()
  expect(await idle).toBe(true)
})
