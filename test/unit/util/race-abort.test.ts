import { expect, it, vi } from 'vitest'
import { raceAbort } from '../../../src/util/race-abort.ts'

it('gives the result, or the error, of work that is in time', async () => {
  const { signal } = new AbortController()
  expect(await raceAbort(Promise.resolve(1), signal)).toBe(1)
  await expect(raceAbort(Promise.reject(new Error('x')), signal)).rejects.toThrow('x')
})

it('ends at once when the signal aborts, and disposes of what comes too late', async () => {
  const work = Promise.withResolvers<string>()
  const abort = new AbortController()
  const dispose = vi.fn()
  const raced = raceAbort(work.promise, abort.signal, dispose)
  abort.abort(new Error('enough'))
  await expect(raced).rejects.toThrow('enough')
  work.resolve('late')
  await work.promise
  await vi.waitFor(() => expect(dispose).toHaveBeenCalledExactlyOnceWith('late'))
})

it('rejects at once on a signal that has aborted, and swallows the error of the work', async () => {
  const work = Promise.withResolvers<string>()
  await expect(raceAbort(work.promise, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
  work.reject(new Error('too late to matter'))
  await expect(work.promise).rejects.toThrow()
})

it('does not dispose of a result that was given', async () => {
  const dispose = vi.fn()
  const abort = new AbortController()
  await raceAbort(Promise.resolve(1), abort.signal, dispose)
  abort.abort()
  await Promise.resolve()
  expect(dispose).not.toHaveBeenCalled()
})
