import { expect, it } from 'vitest'
import { BufferPool } from '../../../src/util/buffer-pool.ts'

const INIT = { bufferBytes: 1_024, smallBytes: 64, budgetBytes: 2_048, keptBuffers: 1 }

it('hands a buffer that came back out again', () => {
  const pool = new BufferPool(INIT)
  const buffer = pool.take(5_000)
  pool.giveBack(buffer, true)
  expect(pool.take(5_000)).toBe(buffer)
})

it('never hands out again what somebody may still write into', () => {
  const pool = new BufferPool(INIT)
  const buffer = pool.take(5_000)
  pool.giveBack(buffer, false)
  expect(pool.take(5_000)).not.toBe(buffer)
})

it('gives small buffers beyond its budget, and large ones again when some came back', () => {
  const pool = new BufferPool(INIT)
  const large = [pool.take(5_000), pool.take(5_000)]
  expect(pool.take(5_000).length).toBe(64)
  for (const buffer of large) pool.giveBack(buffer, true)
  expect(pool.take(5_000).length).toBe(1_024)
})

it('keeps no more buffers than it was told to', () => {
  const pool = new BufferPool(INIT)
  const [first, second] = [pool.take(5_000), pool.take(5_000)]
  pool.giveBack(first, true)
  pool.giveBack(second, true)
  expect(pool.take(5_000)).toBe(first)
  expect(pool.take(5_000)).not.toBe(second)
})

it('keeps nothing that is not out once it was told to let go', () => {
  const pool = new BufferPool({ ...INIT, keptBuffers: 2 })
  const [first, second] = [pool.take(5_000), pool.take(5_000)]
  pool.giveBack(first, true)
  pool.release()
  pool.giveBack(second, true)
  expect(pool.take(5_000)).toBe(second)
  expect(pool.take(5_000)).not.toBe(first)
})

it('takes no more memory for a small body than the body has', () => {
  expect(new BufferPool(INIT).take(10).length).toBe(10)
})
