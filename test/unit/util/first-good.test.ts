import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { firstGood } from '../../../src/util/first-good.ts'

type Outcome = { readonly kind: 'value' | 'nothing' | 'error' | 'final' }

const outcome = fc.record<Outcome>({ kind: fc.constantFrom('value', 'nothing', 'error', 'final') })

describe('firstGood', () => {
  it('ends with the first value or final error in time, else with the first error in the list, else with nothing', async () => {
    const checked = fc.assert(
      fc.asyncProperty(fc.array(outcome, { maxLength: 6 }), fc.infiniteStream(fc.nat()), async (outcomes, keys) => {
        const attempts = outcomes.map(() => Promise.withResolvers<number | undefined>())
        const result = firstGood(
          attempts.map(({ promise }) => promise),
          (error) => (error as Error).message.startsWith('final'),
        )
        const settled = result.then(
          (value) => `value ${value}`,
          (error: Error) => error.message,
        )
        const order = outcomes.map((_, i) => ({ i, key: keys.next().value ?? 0 })).sort((a, b) => a.key - b.key)
        for (const { i } of order) {
          const kind = outcomes[i]?.kind
          if (kind === 'value') attempts[i]?.resolve(i)
          else if (kind === 'nothing') attempts[i]?.resolve(undefined)
          else attempts[i]?.reject(new Error(`${kind} ${i}`))
          await Promise.resolve()
        }
        const decisive = order.find(({ i }) => outcomes[i]?.kind === 'value' || outcomes[i]?.kind === 'final')
        const error = outcomes.findIndex(({ kind }) => kind === 'error')
        const expected = decisive
          ? `${outcomes[decisive.i]?.kind} ${decisive.i}`
          : error === -1
            ? 'value undefined'
            : `error ${error}`
        return (await settled) === expected
      }),
    )
    await expect(checked).resolves.toBeUndefined()
  })
})
