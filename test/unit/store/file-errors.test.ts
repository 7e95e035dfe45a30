import { describe, expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { toStoreError } from '../../../src/store/file-errors.ts'

describe('toStoreError', () => {
  it.each([
    ['ENOSPC', 'STORE_FULL'],
    ['EDQUOT', 'STORE_FULL'],
    ['EROFS', 'STORE_FULL'],
    ['EIO', 'STORE_FAILED'],
    ['EACCES', 'STORE_FAILED'],
  ])('turns %s into %s and keeps the cause', (errno, code) => {
    const cause = Object.assign(new Error('no'), { code: errno })
    expect(toStoreError(cause, 'could not')).toMatchObject({ code, cause, message: 'could not', detail: { errno } })
  })

  it('leaves an error of ours alone', () => {
    const error = new ShoalError('STOPPING', 'the agent stops')
    expect(toStoreError(error, 'could not')).toBe(error)
  })
})
