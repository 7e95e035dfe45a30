import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { DataDirLock } from '../../src/store/data-dir-lock.ts'

const HOLDER = fileURLToPath(new URL('../fixtures/lock-holder.ts', import.meta.url))

it('is held by another process until it is killed, and names it', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-lock-'))
  const holder = spawn(process.execPath, [HOLDER, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(holder, 'exit')
  try {
    for (let round = 0; round < 3; round += 1) await once(holder.stdout, 'data')
    using lock = new DataDirLock({ dir })
    const locked = { code: 'STORE_LOCKED', detail: { dir, pid: holder.pid } }
    expect(() => lock.acquire()).toThrow(expect.objectContaining(locked))
    holder.kill('SIGKILL')
    await exited
    lock.acquire()
  } finally {
    holder.kill('SIGKILL')
    await exited
    await rm(dir, { recursive: true })
  }
})
