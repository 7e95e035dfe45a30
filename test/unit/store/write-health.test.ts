import { describe, expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { toStoreError } from '../../../src/store/file-errors.ts'
import { WriteHealth } from '../../../src/store/write-health.ts'

function failed(error: Error): () => Promise<void> {
  return async () => {
    throw error
  }
}

const noSpace = toStoreError(Object.assign(new Error('no space'), { code: 'ENOSPC' }), 'could not write')

describe('WriteHealth', () => {
  it.each([
    ['the disk was full', noSpace],
    ['the disk has too little for the blob', new ShoalError('STORE_FULL', 'full', { detail: { freeBytes: 1 } })],
  ])('is bad after %s, and good again when something was written', async (_what, error) => {
    const health = new WriteHealth()
    expect(health.isWritable).toBe(true)
    await expect(health.watch(failed(error))).rejects.toBe(error)
    expect(health.isWritable).toBe(false)
    await health.watchFailure(async () => {})
    expect(health.isWritable).toBe(false)
    expect(await health.watch(async () => 5)).toBe(5)
    expect(health.isWritable).toBe(true)
  })

  it.each([
    ['the quota has no room', new ShoalError('STORE_FULL', 'full', { detail: { quotaBytes: 1 } })],
    ['the store stops', new ShoalError('STOPPING', 'stops')],
    ['nobody knows why', new Error('odd')],
  ])('stays good when %s', async (_what, error) => {
    const health = new WriteHealth()
    await expect(health.watch(failed(error))).rejects.toBe(error)
    expect(health.isWritable).toBe(true)
  })
})
