import fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatBytes, parseByteSize } from '../../../src/util/byte-size.ts'

it.each([
  ['0', 0],
  ['512', 512],
  ['512B', 512],
  ['64KiB', 65_536],
  ['64k', 65_536],
  ['1.5 GiB', 1_610_612_736],
  ['20GB', 20_000_000_000],
  ['1tib', 1_099_511_627_776],
])('reads %s as %i bytes', (text, bytes) => expect(parseByteSize(text)).toBe(bytes))

it.each(['', 'x', '-1', '1e3', '5 apples', '1iB', '999999PiB', '1..2', '0x10'])('takes %s for no size', (text) =>
  expect(parseByteSize(text)).toBeUndefined(),
)

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_024, '1 KiB'],
  [1_536, '1.5 KiB'],
  [1_048_575, '1 MiB'],
  [1_610_612_736, '1.5 GiB'],
  [53_687_091_200, '50 GiB'],
  [107_374_182_400, '100 GiB'],
])('writes %i bytes as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

it('reads what it writes, to three figures', () => {
  const check = (): void =>
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 50 }), (bytes) => {
        const again = parseByteSize(formatBytes(bytes)) ?? -1
        return Math.abs(again - bytes) <= Math.max(1, bytes * 0.006)
      }),
    )
  expect(check).not.toThrow()
})
