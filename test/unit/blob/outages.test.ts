import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Outages } from '../../../src/blob/outages.ts'
import type { Abortable, OriginOptions, Scope } from '../../../src/blob/ports.ts'
import { ShoalError } from '../../../src/errors.ts'
import { raceAbort } from '../../../src/util/race-abort.ts'
import { codeOf } from './manifest-world.ts'

const SCOPE: Scope = { repository: { registry: 'named.test', name: 'app' }, authorization: undefined }
const { signal } = new AbortController()

function setUp({ liveMirror = false } = {}) {
  const outages = new Outages({ origin: { hasLiveMirror: () => liveMirror }, clock: Date.now }, { patienceMs: 10_000 })
  const hang = ({ signal }: Abortable): Promise<never> => raceAbort(Promise.withResolvers<never>().promise, signal)
  const fail = async (_options: Abortable): Promise<never> => {
    throw new ShoalError('ORIGIN_UNAVAILABLE', 'down')
  }
  return { outages, hang, fail }
}

describe('Outages', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    const left = vi.getTimerCount()
    vi.useRealTimers()
    if (left > 0) throw new Error(`${left} timers are left`)
  })

  it('gives up at its patience when something stands in, and then at once for a while', async () => {
    const { outages, hang } = setUp()
    const asked = codeOf(outages.ask(SCOPE, { signal, hasStandIn: true }, hang))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await asked).toBe('STALLED')
    const again = outages.ask(SCOPE, { signal, hasStandIn: true }, async () => 'asked')
    await expect(again).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
    await vi.advanceTimersByTimeAsync(15_000)
    expect(await outages.ask(SCOPE, { signal, hasStandIn: true }, async () => 'asked')).toBe('asked')
  })

  it('looks for a stand-in when the origin is slow, and waits no longer than with one from the beginning', async () => {
    const { outages, hang } = setUp()
    const findStandIn = vi.fn(async () => true)
    const asked = codeOf(outages.ask(SCOPE, { signal, hasStandIn: false, findStandIn }, hang))
    await vi.advanceTimersByTimeAsync(999)
    expect(findStandIn).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(9_001)
    expect(await asked).toBe('STALLED')
    expect(findStandIn).toHaveBeenCalledTimes(1)
  })

  it('looks at once when the origin was out just now, and gives up as soon as something is found', async () => {
    const { outages, hang, fail } = setUp()
    await expect(outages.ask(SCOPE, { signal, hasStandIn: false }, fail)).rejects.toMatchObject({
      code: 'ORIGIN_UNAVAILABLE',
    })
    const findStandIn = async (): Promise<boolean> => true
    const asked = codeOf(outages.ask(SCOPE, { signal, hasStandIn: false, findStandIn }, hang))
    await vi.advanceTimersByTimeAsync(1)
    expect(await asked).toBe('STALLED')
  })

  it.each([
    ['finds nothing', async () => false],
    ['fails', async () => await Promise.reject(new Error('broken'))],
  ])('waits for a slow origin when the search %s', async (_name, findStandIn: () => Promise<boolean>) => {
    const { outages } = setUp()
    const late = Promise.withResolvers<string>()
    const asked = outages.ask(SCOPE, { signal, hasStandIn: false, findStandIn }, () => late.promise)
    await vi.advanceTimersByTimeAsync(29_000)
    late.resolve('late')
    expect(await asked).toBe('late')
  })

  it('does not look while the origin answers in time', async () => {
    const { outages } = setUp()
    const findStandIn = vi.fn(async () => true)
    expect(await outages.ask(SCOPE, { signal, hasStandIn: false, findStandIn }, async () => 1)).toBe(1)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(findStandIn).not.toHaveBeenCalled()
  })

  it.each([true, false])('asks the mirrors of a registry that was out just now (stand-in: %s)', async (hasStandIn) => {
    const { outages, fail } = setUp({ liveMirror: true })
    const findStandIn = vi.fn(async () => true)
    await codeOf(outages.ask(SCOPE, { signal, hasStandIn: false }, fail))
    const asked = vi.fn(async ({ mirrorsOnly = false }: OriginOptions) => mirrorsOnly)
    expect(await outages.ask(SCOPE, { signal, hasStandIn, findStandIn }, asked)).toBe(true)
    expect(asked).toHaveBeenCalledTimes(1)
    expect(findStandIn).not.toHaveBeenCalled()
  })

  it('lets something stand in without asking the registry again when its mirrors have no answer', async () => {
    const { outages, fail } = setUp({ liveMirror: true })
    await codeOf(outages.ask(SCOPE, { signal, hasStandIn: false }, fail))
    const asked = vi.fn(async (options: OriginOptions) => await fail(options))
    expect(await codeOf(outages.ask(SCOPE, { signal, hasStandIn: true }, asked))).toBe('ORIGIN_UNAVAILABLE')
    expect(asked.mock.calls.map(([{ mirrorsOnly }]) => mirrorsOnly)).toEqual([true])
  })

  it('waits no longer for a mirror than for a registry', async () => {
    const { outages, hang, fail } = setUp({ liveMirror: true })
    await codeOf(outages.ask(SCOPE, { signal, hasStandIn: false }, fail))
    const asked = codeOf(outages.ask(SCOPE, { signal, hasStandIn: true }, hang))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await asked).toBe('ORIGIN_UNAVAILABLE')
  })
})
