import { expect, it } from 'vitest'
import { formatDuration, parseDuration } from '../../../src/util/duration.ts'

it.each([
  [0, '0 ms'],
  [320.4, '320 ms'],
  [999.6, '1 s'],
  [1_000, '1 s'],
  [65_000, '1 min 5 s'],
  [3_600_000, '1 h'],
  [3_725_000, '1 h 2 min'],
  [86_400_000 * 2 + 3_600_000 * 3, '2 d 3 h'],
  [86_400_000 + 60_000, '1 d'],
  [-5, '0 ms'],
])('writes %d ms as %s', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text))

it.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['5m', 300_000],
  ['5 min', 300_000],
  ['1.5h', 5_400_000],
  ['7d', 604_800_000],
])('reads %s as %i ms', (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds))

it.each(['', '5', 's', '-1s', '5 weeks', '1e3s'])('takes %s for no duration', (text) =>
  expect(parseDuration(text)).toBeUndefined(),
)
