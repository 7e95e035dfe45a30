import { describe, expect, it } from 'vitest'
import { KeyedLock } from '../../../src/store/keyed-lock.ts'

describe('KeyedLock', () => {
  it('runs the work of one key in order, and of another at once', async () => {
    const lock = new KeyedLock<string>()
    const gate = Promise.withResolvers<void>()
    const seen: string[] = []
    const first = lock.run('a', async () => {
      await gate.promise
      seen.push('a1')
    })
    const second = lock.run('a', async () => {
      seen.push('a2')
    })
    await lock.run('b', async () => {
      seen.push('b')
    })
    gate.resolve()
    await Promise.all([first, second, lock.idle()])
    expect(seen).toEqual(['b', 'a1', 'a2'])
  })

  it('goes on after work that failed', async () => {
    const lock = new KeyedLock<string>()
    const failed = lock.run('a', () => Promise.reject(new Error('broken')))
    const next = lock.run('a', async () => 'done')
    await expect(failed).rejects.toThrow('broken')
    expect(await next).toBe('done')
  })
})
