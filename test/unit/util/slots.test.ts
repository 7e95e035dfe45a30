import { expect, it, vi } from 'vitest'
import { Slots } from '../../../src/util/slots.ts'

const { signal } = new AbortController()

it('runs so many at once, the others in the order in which they came', async () => {
  const slots = new Slots({ most: 2 })
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
  const begun: number[] = []
  const runs = gates.map((gate, index) =>
    slots.run(
      async () => {
        begun.push(index)
        await gate.promise
      },
      { signal },
    ),
  )
  await Promise.resolve()
  expect(begun).toEqual([0, 1])
  gates[1]?.resolve()
  await vi.waitFor(() => expect(begun).toEqual([0, 1, 2]), { interval: 1 })
  for (const gate of gates) gate.resolve()
  await Promise.all(runs)
  expect(begun).toEqual([0, 1, 2, 3])
})

it('whoever leaves while it waits, or fails, takes no place with it', async () => {
  const slots = new Slots({ most: 1 })
  const gate = Promise.withResolvers<void>()
  const first = slots.run(() => gate.promise, { signal })
  const leaving = new AbortController()
  const second = slots.run(async () => 'never', { signal: leaving.signal })
  const third = slots.run(() => Promise.reject(new Error('broken')), { signal })
  const fourth = slots.run(async () => 'here', { signal })
  leaving.abort(new Error('left'))
  await expect(second).rejects.toThrow('left')
  gate.resolve()
  await first
  await expect(third).rejects.toThrow('broken')
  expect(await fourth).toBe('here')
  await expect(slots.run(async () => 'never', { signal: leaving.signal })).rejects.toThrow('left')
  expect(await slots.run(async () => 'free', { signal })).toBe('free')
})
