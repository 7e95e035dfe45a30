import { describe, expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { toStoreError } from '../../../src/store/file-errors.ts'
import { WriteHealth } from '../../../src/store/write-health.ts'

const MIB = 1024 * 1024

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
    await expect(health.watch(MIB, failed(error))).rejects.toBe(error)
    expect(health.isWritable).toBe(false)
    await health.watchFailure(MIB, async () => {})
    expect(health.isWritable).toBe(false)
    expect(await health.watch(MIB, async () => 5)).toBe(5)
    expect(health.isWritable).toBe(true)
  })

  it.each([
    ['the quota has no room', new ShoalError('STORE_FULL', 'full', { detail: { quotaBytes: 1 } })],
    ['the store stops', new ShoalError('STOPPING', 'stops')],
    ['nobody knows why', new Error('odd')],
  ])('stays good when %s', async (_what, error) => {
    const health = new WriteHealth()
    await expect(health.watch(MIB, failed(error))).rejects.toBe(error)
    expect(health.isWritable).toBe(true)
  })

  it('stays bad while only less is written than was refused, up to a size that most layers have', async () => {
    const health = new WriteHealth()
    const refused = async (bytes: number): Promise<void> => {
      await expect(health.watchFailure(bytes, failed(noSpace))).rejects.toBe(noSpace)
    }
    await refused(5 * MIB)
    await health.watch(4 * MIB, async () => {})
    expect(health.isWritable).toBe(false)
    await health.watch(5 * MIB, async () => {})
    expect(health.isWritable).toBe(true)
    await refused(1e12)
    await health.watch(16 * MIB, async () => {})
    expect(health.isWritable).toBe(true)
  })

  it('follows the room that there is, before something is refused too', async () => {
    const health = new WriteHealth()
    const after = (bytes: number): boolean => {
      health.hasRoom(bytes)
      return health.isWritable
    }
    expect([MIB, MIB - 1, 0, MIB].map(after)).toEqual([true, false, false, true])
    await expect(health.watchFailure(5 * MIB, failed(noSpace))).rejects.toBe(noSpace)
    expect([4 * MIB, 5 * MIB, MIB].map(after)).toEqual([false, true, true])
    await expect(health.watch(1, failed(noSpace))).rejects.toBe(noSpace)
    expect([1_000, MIB].map(after)).toEqual([false, true])
  })

  it('is not mended by room on the file system where a quota of its user is used up', async () => {
    const health = new WriteHealth()
    const error = toStoreError(Object.assign(new Error('quota'), { code: 'EDQUOT' }), 'could not write')
    await expect(health.watch(5, failed(error))).rejects.toBe(error)
    health.hasRoom(1e12)
    expect(health.isWritable).toBe(false)
    await health.watch(5, async () => {})
    expect(health.isWritable).toBe(true)
  })
})
