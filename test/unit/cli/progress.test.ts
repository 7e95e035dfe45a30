import { assert, integer, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LiveLines } from '../../../src/cli/live-lines.ts'
import { bar, progressLine, secondsLeft, sourcesText } from '../../../src/cli/progress.ts'
import { terminalOf } from '../../../src/cli/terminal.ts'

const MIB = 1024 * 1024
const LOOK = { columns: 100, hasColor: false }

describe('a line of progress', () => {
  it('has a name, a bar, and figures', () => {
    const line = progressLine({ name: 'app:v1', bytes: 33 * MIB, totalBytes: 66 * MIB, bytesPerSecond: 11 * MIB }, LOOK)
    expect(line).toMatch(/^app:v1 +━+─+ {3}50 % {2}33 MiB of 66 MiB +11 MiB\/s +3 s left$/)
    expect(line.split('━')).toHaveLength(line.split('─').length)
  })

  it('goes without a bar where there is no room, and without a share while the size is not known', () => {
    const progress = { name: 'app:v1', bytes: MIB, totalBytes: 2 * MIB }
    expect(progressLine(progress, { ...LOOK, columns: 40 })).toBe('app:v1             50 %  1 MiB of 2 MiB')
    expect(progressLine({ ...progress, totalBytes: undefined }, LOOK)).toMatch(/^app:v1 +1 MiB$/)
  })

  it('has its bar where the other lines have theirs', () => {
    const starts = [
      progressLine({ name: 'app:v1', bytes: 1, totalBytes: 900 * MIB, bytesPerSecond: 1 }, LOOK),
      progressLine({ name: '8c6a6858a434', bytes: MIB, totalBytes: 2 * MIB }, LOOK, 2),
      progressLine({ name: 'x'.repeat(99), bytes: MIB, totalBytes: MIB, bytesPerSecond: MIB }, LOOK, 2),
    ].map((line) => line.search(/[━─]/))
    expect(new Set(starts).size).toBe(1)
  })

  it('cuts the beginning of a name that is too long', () => {
    const name = `registry.example:5000/${'team/'.repeat(20)}app:v1`
    expect(progressLine({ name, bytes: 0, totalBytes: MIB }, LOOK)).toMatch(/^….*app:v1 {2}/)
  })

  it('is full for something empty, and never fuller than full', () => {
    expect(progressLine({ name: 'a', bytes: 0, totalBytes: 0 }, LOOK)).toContain('100 %')
    expect(progressLine({ name: 'a', bytes: 9, totalBytes: 3 }, LOOK)).toContain('100 %')
  })

  it('fits into the terminal from 60 columns on, and is a line on any, whatever there is to say', () => {
    assert(
      property(
        string(),
        integer({ min: 1, max: 300 }),
        integer({ min: 0 }),
        integer({ min: 0 }),
        (name, columns, a, b) => {
          const line = progressLine(
            { name, bytes: Math.min(a, b), totalBytes: Math.max(a, b), bytesPerSecond: 100_000 },
            { columns, hasColor: false },
            2,
          )
          return !line.includes('\n') && (columns < 60 || line.length < columns)
        },
      ),
    )
  })
})

it('a bar is as wide as it is told, with colours or without', () => {
  expect(bar(0.5, 10, false)).toBe('━━━━━─────')
  expect(bar(2, 4, false)).toBe('━━━━')
  expect(bar(-1, 4, false)).toBe('────')
  expect(bar(0.5, 4, true)).toBe('\u001b[32m━━\u001b[2m──\u001b[0m')
})

it('sources are shares, and no part that is there counts as nothing or as all', () => {
  expect(sourcesText(0, 0)).toBeUndefined()
  expect(sourcesText(1, 3)).toBe('25 % from registries, 75 % from peers')
  expect(sourcesText(1, 1e9)).toBe('1 % from registries, 99 % from peers')
  expect(sourcesText(5, 0)).toBe('100 % from registries')
  expect(sourcesText(1, 1, 2)).toBe('50 % was here, 25 % from registries, 25 % from peers')
})

it('the time left is told only when there is a rate and something is missing', () => {
  const progress = { name: '', bytes: 10, totalBytes: 30, bytesPerSecond: 10 }
  expect(secondsLeft(progress)).toBe(2)
  expect(secondsLeft({ ...progress, bytesPerSecond: 0 })).toBeUndefined()
  expect(secondsLeft({ ...progress, totalBytes: undefined })).toBeUndefined()
  expect(secondsLeft({ ...progress, bytes: 30 })).toBeUndefined()
})

describe('lines that are drawn in place', () => {
  const setUp = (columns = 20, rows = 5) => {
    let out = ''
    const terminal = { size: () => ({ columns, rows }), hasColor: true }
    const live = new LiveLines({
      terminal,
      write: (text) => {
        out += text
      },
    })
    const take = (): string => {
      const text = out
      out = ''
      return text
    }
    return { live, take }
  }

  it('go back over what they drew before, and leave nothing of it', () => {
    const { live, take } = setUp()
    live.draw(['one', 'two'])
    expect(take()).toBe('one\u001b[K\ntwo\u001b[K\n\u001b[J')
    live.draw(['three'])
    expect(take()).toBe('\u001b[2A\rthree\u001b[K\n\u001b[J')
    live.clear()
    expect(take()).toBe('\u001b[1A\r\u001b[J')
    live.clear()
    expect(take()).toBe('')
  })

  it('never take more than the screen, in width or height', () => {
    const { live, take } = setUp(10, 4)
    live.draw(['\u001b[32m0123456789abc\u001b[0m', 'b', 'c', 'd', 'e'])
    expect(take()).toBe('01234567…\u001b[K\nb\u001b[K\n… 3 more\u001b[K\n\u001b[J')
  })

  it('make way for text that stays', () => {
    const { live, take } = setUp()
    live.draw(['bar'])
    take()
    let printed = ''
    live.above(() => {
      printed = take()
    }, ['bar 2'])
    expect(printed).toBe('\u001b[1A\r\u001b[J')
    expect(take()).toBe('bar 2\u001b[K\n\u001b[J')
  })
})

it('a terminal is one only if its cursor can be moved, and has colours unless somebody does not want them', () => {
  expect(terminalOf({ isTTY: false }, {})).toBeUndefined()
  expect(terminalOf({}, { TERM: 'xterm' })).toBeUndefined()
  expect(terminalOf({ isTTY: true }, { TERM: 'dumb' })).toBeUndefined()
  expect(terminalOf({ isTTY: true, columns: 0 }, {})?.size()).toEqual({ columns: 80, rows: 24 })
  expect(terminalOf({ isTTY: true }, { NO_COLOR: '' })?.hasColor).toBe(true)
  expect(terminalOf({ isTTY: true }, { NO_COLOR: '1' })?.hasColor).toBe(false)
})
