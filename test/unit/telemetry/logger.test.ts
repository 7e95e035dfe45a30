import { describe, expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { createLogger, type LoggerInit } from '../../../src/telemetry/logger.ts'

function collect(init: Partial<LoggerInit> = {}) {
  const lines: string[] = []
  const log = createLogger({ level: 'debug', format: 'json', ...init }, { write: (line) => void lines.push(line) })
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown> }
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
