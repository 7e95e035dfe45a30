import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { createLogger, type LoggerInit } from '../../../src/telemetry/logger.ts'

function collect(init: Partial<LoggerInit> = {}) {
  const lines: string[] = []
  const counted: string[] = []
  const log = createLogger(
    { level: 'debug', format: 'json', sample: 0, ...init },
    { sink: { write: (line) => void lines.push(line) }, logged: (level) => void counted.push(level) },
  )
  const messages = (): string[] => lines.map((line) => String((JSON.parse(line) as { msg: unknown }).msg))
  return { log, lines, counted, messages, last: () => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown> }
}

describe('createLogger', () => {
  it('writes one JSON object per line, with the fields of its parents', () => {
    const { log, last } = collect()
    log.child({ component: 'store' }).info({ bytes: 5 }, 'stored')
    expect(last()).toMatchObject({ level: 30, component: 'store', bytes: 5, msg: 'stored', time: expect.any(Number) })
  })

  it('is silent below its level', () => {
    const { log, lines } = collect({ level: 'warn' })
    log.info({}, 'quiet')
    log.warn({}, 'loud')
    expect(lines.length).toBe(1)
  })

  it.each([
    { authorization: 's3cret' },
    { headers: { authorization: 's3cret' } },
    { request: { headers: { authorization: 's3cret' } } },
    { credentials: { password: 's3cret' } },
    { token: 's3cret' },
  ])('blanks out %o', (fields) => {
    const { log, lines } = collect()
    log.info(fields, 'x')
    expect(lines.join()).toContain('[redacted]')
    expect(lines.join()).not.toContain('s3cret')
  })

  it('says of an error what it is and what caused it, and nothing else that hangs on it', () => {
    const { log, last, lines } = collect()
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED', headers: { authorization: 's3cret' } })
    const err = new ShoalError('ORIGIN_UNAVAILABLE', 'no answer', {
      cause,
      detail: { registry: 'r' },
      challenge: 's3cret',
    })
    log.warn({ err }, 'x')
    expect(last().err).toMatchObject({
      code: 'ORIGIN_UNAVAILABLE',
      message: 'no answer',
      detail: { registry: 'r' },
      cause: { code: 'ECONNREFUSED', message: 'refused' },
    })
    expect(lines.join()).not.toContain('s3cret')
  })

  it.each([
    ['no', 'a mistake of the host', Object.assign(new Error('no such file'), { code: 'ENOENT' }), false],
    ['no', 'a deadline', new DOMException('deadline passed', 'TimeoutError'), false],
    ['the', 'a bug', Object.assign(new TypeError('no string'), { code: 'ERR_INVALID_ARG_TYPE' }), true],
  ])('shows %s stack of %s behind an error of ours', (_, _what, cause, hasStack) => {
    const { log, last } = collect()
    log.warn({ err: new ShoalError('STORE_FAILED', 'cannot be used', { cause }) }, 'x')
    const { stack, cause: told } = last().err as { stack?: string; cause: { stack?: string } }
    expect(stack).toBeUndefined()
    expect(told.stack !== undefined).toBe(hasStack)
  })

  it('shows the stack of an error that is not ours', () => {
    const { log, last } = collect()
    log.error({ err: Object.assign(new Error('broken pipe'), { code: 'EPIPE' }) }, 'x')
    expect(last().err).toMatchObject({ code: 'EPIPE', stack: expect.any(String) })
  })

  it('ends with a chain of causes that goes in a circle', () => {
    const { log, lines } = collect()
    const err = new Error('a')
    err.cause = err
    log.error({ err }, 'x')
    expect(lines.length).toBe(1)
  })

  it('writes lines for people when asked to', () => {
    const { log, lines } = collect({ format: 'text' })
    log.child({ component: 'facade' }).warn({ ms: 12, path: '/a b', err: new ShoalError('STALLED', 'slow') }, 'late')
    expect(lines).toEqual([
      expect.stringMatching(/^\d{4}-\S+Z WARN  facade: late ms=12 path="\/a b" err=\{.*"STALLED".*\}\n$/),
    ])
  })
})

describe('a log that says the same again and again', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('is written a few times a minute, and then says how much was left out', () => {
    const { log, lines, messages, last, counted } = collect({ sample: 2 })
    const store = log.child({ component: 'store' })
    for (let i = 0; i < 7; i++) store.warn({ digest: i }, 'cannot be stored')
    expect(messages()).toEqual(['cannot be stored', 'cannot be stored'])
    vi.advanceTimersByTime(60_000)
    expect(lines).toHaveLength(3)
    expect(last()).toMatchObject({
      level: 40,
      component: 'store',
      repeated: 'cannot be stored',
      count: 5,
      msg: 'the same again, left out of the log',
    })
    store.warn({}, 'cannot be stored')
    expect(lines).toHaveLength(4)
    expect(counted).toHaveLength(8)
  })

  it('keeps apart what another component, level or code says', () => {
    const { log, lines } = collect({ sample: 1 })
    log.child({ component: 'a' }).warn({}, 'x')
    log.child({ component: 'b' }).warn({}, 'x')
    log.child({ component: 'b' }).error({}, 'x')
    log.child({ component: 'b' }).error({ err: new ShoalError('STALLED', 'y') }, 'x')
    log.child({ component: 'b' }).error({ err: new ShoalError('STORE_FULL', 'y') }, 'x')
    expect(lines).toHaveLength(5)
  })

  it('leaves out nothing of what is only information', () => {
    const { log, lines } = collect({ sample: 1 })
    for (let i = 0; i < 5; i++) log.info({}, 'evicted')
    expect(lines).toHaveLength(5)
  })

  it('tells at its end what was left out, and leaves no timer behind', () => {
    const { log, last } = collect({ sample: 1 })
    for (let i = 0; i < 3; i++) log.error({}, 'x')
    expect(vi.getTimerCount()).toBe(1)
    log[Symbol.dispose]()
    expect(last()).toMatchObject({ level: 50, count: 2 })
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a log that is configured anew', () => {
  it('changes the level of loggers that are in use', () => {
    const { log, messages } = collect({ level: 'warn' })
    const child = log.child({ component: 'a' }).child({ more: 1 })
    child.debug({}, 'one')
    log.configure({ level: 'debug', sample: 0 })
    child.debug({}, 'two')
    log.configure({ level: 'error', sample: 0 })
    child.warn({}, 'three')
    expect(messages()).toEqual(['two'])
  })

  it('samples from then on', () => {
    const { log, lines } = collect()
    for (let i = 0; i < 3; i++) log.warn({}, 'x')
    log.configure({ level: 'debug', sample: 1 })
    for (let i = 0; i < 3; i++) log.warn({}, 'x')
    expect(lines).toHaveLength(4)
    log[Symbol.dispose]()
  })
})

describe('the last lines', () => {
  it('are kept in their order as JSON, without those for debugging and without secrets', () => {
    const { log } = collect({ format: 'text' })
    log.debug({}, 'no')
    for (let i = 0; i < 1_005; i++) log.info({ i, token: 's3cret' }, 'x')
    const recent = log.recent()
    expect(recent).toHaveLength(1_000)
    expect(recent.map((line) => (JSON.parse(line) as { i: number }).i)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i + 5),
    )
    expect(recent.join()).not.toContain('s3cret')
  })

  it('are cut where they are long', () => {
    const { log } = collect()
    log.info({ long: 'a'.repeat(100_000) }, 'x')
    expect(log.recent()[0]?.length).toBeLessThan(5_000)
  })
})
