import { describe, expect, it } from 'vitest'
import { SingleFlight } from '../../../src/util/single-flight.ts'

const never = new AbortController().signal

describe('SingleFlight', () => {
  it('runs one job for all callers of a key', async () => {
    const flights = new SingleFlight<number>()
    const gate = Promise.withResolvers<number>()
    let runs = 0
    const job = (): Promise<number> => {
      runs += 1
      return gate.promise
    }
    const results = [flights.run('a', never, job), flights.run('a', never, job), flights.run('a', never, job)]
    gate.resolve(7)
    expect(await Promise.all(results)).toEqual([7, 7, 7])
    expect(runs).toBe(1)
  })

  it('lets a caller leave alone and cancels the job when all have left', async () => {
    const flights = new SingleFlight<number>()
    const [first, second] = [new AbortController(), new AbortController()]
    let cancelled = false
    const job = (signal: AbortSignal): Promise<number> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          cancelled = true
          reject(signal.reason as Error)
        })
      })
    const results = [flights.run('a', first.signal, job), flights.run('a', second.signal, job)]
    first.abort(new Error('first left'))
    await expect(results[0]).rejects.toThrow('first left')
    expect(cancelled).toBe(false)
    second.abort(new Error('second left'))
    await expect(results[1]).rejects.toThrow('second left')
    expect(cancelled).toBe(true)
  })

  it('starts anew after a failure', async () => {
    const flights = new SingleFlight<number>()
    await expect(flights.run('a', never, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await flights.run('a', never, () => Promise.resolve(1))).toBe(1)
  })
})
