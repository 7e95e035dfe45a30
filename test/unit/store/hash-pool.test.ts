import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type FileHandle, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HashPool } from '../../../src/store/hash-pool.ts'
import { silentLog } from '../../fakes/silent-log.ts'

const bytes = randomBytes(3_000_000)
const { signal } = new AbortController()

function hashOf(start: number, end: number): string {
  return createHash('sha256').update(bytes.subarray(start, end)).digest('hex')
}

describe.each([1, 2])('HashPool of %i threads', (maxThreads) => {
  let dir: string
  let handle: FileHandle
  let pool: HashPool
  const workers: Worker[] = []
  const noted = (worker: Worker): void => {
    workers.push(worker)
  }
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-hash-'))
    await writeFile(join(dir, 'file'), bytes)
    handle = await open(join(dir, 'file'))
    pool = new HashPool({ log: silentLog }, { maxThreads })
    process.on('worker', noted)
  })
  afterEach(async () => {
    vi.useRealTimers()
    process.off('worker', noted)
    workers.length = 0
    await pool.stop()
    await handle.close()
    await rm(dir, { recursive: true })
  })

  it('starts no thread before it is needed and no more than allowed', async () => {
    expect(workers.length).toBe(0)
    const ranges = [...Array(20).keys()].map((number) => [number * 1000, number * 100_000 + 1000] as const)
    const hashes = await Promise.all(ranges.map(([start, end]) => pool.hashRange(handle.fd, start, end)))
    expect(hashes).toEqual(ranges.map(([start, end]) => hashOf(start, end)))
    expect(workers.length).toBe(maxThreads)
  })

  it('extends a running digest, several at once, and gives the hash of each range', async () => {
    const [one, other] = [pool.runningDigest(), pool.runningDigest()]
    const appended = [0, 1, 2].map((number) => one.append(handle.fd, number * 1_000_000, (number + 1) * 1_000_000))
    await other.append(handle.fd, 500, 600)
    expect(await Promise.all(appended)).toEqual([
      hashOf(0, 1_000_000),
      hashOf(1_000_000, 2_000_000),
      hashOf(2_000_000, 3_000_000),
    ])
    expect(await one.finish()).toBe(hashOf(0, bytes.length))
    expect(await other.finish()).toBe(hashOf(500, 600))
    one.restart()
    await expect(one.finish()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await one.append(handle.fd, 0, 10)
    expect(await one.finish()).toBe(hashOf(0, 10))
    one.drop()
    other.drop()
  })

  it('fails for a range that the file does not have, and a running digest with it until it is started again', async () => {
    const running = pool.runningDigest()
    await running.append(handle.fd, 0, 100)
    await expect(running.append(handle.fd, 100, bytes.length + 1)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect(running.append(handle.fd, 100, 200)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect(running.finish()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    running.restart()
    await running.append(handle.fd, 0, 200)
    expect(await running.finish()).toBe(hashOf(0, 200))
  })

  it('hashes a whole file, also an empty one, and stops when its caller leaves', async () => {
    expect(await pool.hashFile(handle.fd, bytes.length, { signal })).toBe(hashOf(0, bytes.length))
    expect(await pool.hashFile(handle.fd, 0, { signal })).toBe(hashOf(0, 0))
    const left = AbortSignal.abort(new Error('left'))
    await expect(pool.hashFile(handle.fd, bytes.length, { signal: left })).rejects.toThrow('left')
  })

  it('fails the jobs of a thread that dies and replaces it', async () => {
    const running = pool.runningDigest()
    await running.append(handle.fd, 0, 100)
    // more than are done before the threads die
    const jobs = Array.from({ length: 1_000 }, () => pool.hashRange(handle.fd, 0, bytes.length))
    const ends = Promise.allSettled(jobs)
    await expect.poll(() => workers.length).toBe(maxThreads)
    await Promise.all(workers.map((worker) => worker.terminate()))
    const failed = (await ends).flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
    expect(failed.at(-1)).toMatchObject({ code: 'STORE_FAILED' })
    await expect(running.append(handle.fd, 100, 200)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(await pool.hashRange(handle.fd, 0, 10)).toBe(hashOf(0, 10))
    running.restart()
    await running.append(handle.fd, 0, 200)
    expect(await running.finish()).toBe(hashOf(0, 200))
  })

  it('ends threads that are idle and no others, and starts them again', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const running = pool.runningDigest()
    await running.append(handle.fd, 0, 100)
    vi.advanceTimersByTime(60_000)
    await running.append(handle.fd, 100, 200)
    expect(await running.finish()).toBe(hashOf(0, 200))
    running.drop()
    const ended = workers.filter((worker) => worker.threadId !== -1).map((worker) => once(worker, 'exit'))
    vi.advanceTimersByTime(60_000)
    await Promise.all(ended)
    expect(await pool.hashRange(handle.fd, 0, 10)).toBe(hashOf(0, 10))
  })

  it('ends its threads when it stops and takes nothing afterwards', async () => {
    const job = pool.hashRange(handle.fd, 0, bytes.length)
    const settled = Promise.allSettled([job])
    await pool.stop()
    expect((await settled)[0]).toMatchObject({ status: 'rejected', reason: { code: 'STOPPING' } })
    await expect(pool.hashRange(handle.fd, 0, 1)).rejects.toMatchObject({ code: 'STOPPING' })
    expect(workers.map((worker) => worker.threadId)).toEqual([-1])
  })
})
