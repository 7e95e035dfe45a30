import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { linesOf } from '../../../src/setup/lines.ts'
import { takeOutLines } from '../../../src/setup/take-out.ts'

describe('takeOutLines', () => {
  it('takes out what was added, wherever lines were added since', () => {
    expect(takeOutLines('a\nb\n', 'a\nX\nY\nb\n', '0\na\nX\nY\nc\nb\n')).toBe('0\na\nc\nb\n')
  })

  it('puts back what was replaced', () => {
    expect(takeOutLines('a\nx = ""\n', 'a\nx = "y"\n', '0\na\nx = "y"\n')).toBe('0\na\nx = ""\n')
  })

  it('ends a line that had no end where one comes behind it now', () => {
    expect(takeOutLines('a', 'a\nX\n', 'a\nX\nb\n')).toBe('a\nb\n')
    expect(takeOutLines('a', 'a\nX\n', '0\na\nX\n')).toBe('0\na')
  })

  it.each([
    ['is gone', 'a\n'],
    ['is there in part', 'a\nX\nz\nY\n'],
    ['is there twice', 'X\nY\na\nX\nY\n'],
  ])('gives nothing when what was added %s', (_, now) => {
    expect(takeOutLines('a\n', 'a\nX\nY\n', now)).toBeUndefined()
  })

  it('gives back any text into which lines were put, also when others were put in since', () => {
    const text = fc
      .array(fc.constantFrom('', 'a', 'b', '[t]', 'k = 1'), { maxLength: 8 })
      .map((lines) => lines.join('\n'))
    fc.assert(
      fc.property(text, fc.nat(8), fc.nat(12), (before, at, later) => {
        const after = put(before, at, 'X\nY\n')
        const now = put(after, later, 'user\n')
        const isSplit = now.includes('X\nuser')
        const back = takeOutLines(before, after, now)
        expect(takeOutLines(before, after, after)).toBe(before)
        expect(back === undefined).toBe(isSplit)
        const rest = linesOf(back ?? before).filter((line) => line !== 'user\n')
        expect(rest.join('').trim()).toBe(before.trim())
      }),
    )
  })
})

function put(text: string, index: number, block: string): string {
  const above = linesOf(text).slice(0, index).join('')
  const joint = above === '' || above.endsWith('\n') ? '' : '\n'
  return above + joint + block + linesOf(text).slice(index).join('')
}
