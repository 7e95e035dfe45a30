import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTraceparent } from '../../../src/telemetry/traceparent.ts'
import { type TracingSettings, tracingSettings } from '../../../src/telemetry/tracing.ts'

const ENDPOINT = 'http://collector.test:4318'

function read(environment: Record<string, string>): { settings: TracingSettings | undefined; problems: string[] } {
  const problems: string[] = []
  return { settings: tracingSettings(environment, (problem) => problems.push(problem)), problems }
}

describe('tracing', () => {
  it.each([
    {},
    { OTEL_SERVICE_NAME: 'x' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_TRACES_EXPORTER: 'none' },
  ])('is off with %o', (environment) => {
    expect(read(environment)).toEqual({ settings: undefined, problems: [] })
  })

  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT }, `${ENDPOINT}/v1/traces`],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: `${ENDPOINT}/base/` }, `${ENDPOINT}/base/v1/traces`],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${ENDPOINT}/in` }, `${ENDPOINT}/in`],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://a/b' }, 'https://a/b'],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http://localhost:4318/v1/traces'],
  ] as const)('goes with %o to %s', (environment, url) => {
    expect(read(environment)).toMatchObject({ settings: { target: { kind: 'otlp', url } }, problems: [] })
  })

  it('goes to standard output when asked to', () => {
    expect(read({ OTEL_TRACES_EXPORTER: 'console' }).settings?.target).toEqual({ kind: 'console' })
  })

  it.each([
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }, 'nothing is traced'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, 'no http URL'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '::' }, 'no http URL'],
  ])('is off with %o, and says so', (environment, problem) => {
    const { settings, problems } = read(environment)
    expect(settings).toBeUndefined()
    expect(problems).toEqual([expect.stringContaining(problem)])
  })

  it('takes the name and the attributes of the resource, and leaves out what is not understood', () => {
    const of = (environment: Record<string, string>) => read({ OTEL_TRACES_EXPORTER: 'otlp', ...environment })
    const named = of({ OTEL_SERVICE_NAME: 'a', OTEL_RESOURCE_ATTRIBUTES: 'service.name=b, zone = eu%2C1 ' })
    expect(named.settings?.attributes).toEqual({ 'service.name': 'a', zone: 'eu,1' })
    for (const text of ['a', '=b', 'a=%zz', 'a=b,,c=d']) {
      const { settings, problems } = of({ OTEL_RESOURCE_ATTRIBUTES: text })
      expect(settings?.attributes).toEqual({})
      expect(problems).toHaveLength(1)
    }
  })

  it.each([
    [{}, { root: 'on', heedsParent: true }],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, { root: 'off', heedsParent: false }],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, { root: 'off', heedsParent: true }],
    [
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' },
      { root: 0.25, heedsParent: false },
    ],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio' }, { root: 1, heedsParent: true }],
    [
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: 'all' },
      { root: 1, heedsParent: false },
    ],
    [{ OTEL_TRACES_SAMPLER: 'jaeger_remote' }, { root: 'on', heedsParent: true }],
  ] as const)('samples with %o as %o', (environment, sampler) => {
    expect(read({ OTEL_TRACES_EXPORTER: 'otlp', ...environment }).settings?.sampler).toEqual(sampler)
  })

  it('loads nothing of OpenTelemetry until it is on', () => {
    const script = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ resolve: (name, context, next) => (loaded.push(name), next(name, context)) })
      const { openTracing } = await import(process.argv[1])
      const init = { environment: {}, version: '', instanceId: '' }
      await openTracing({ log: {} }, init)
      process.stdout.write(JSON.stringify(loaded.filter((name) => name.startsWith('@opentelemetry'))))`
    const file = new URL('../../../src/telemetry/tracing.ts', import.meta.url).href
    const printed = execFileSync('node', ['--input-type=module', '-e', script, file], { encoding: 'utf8' })
    expect(printed).toBe('[]')
  })
})

describe('parseTraceparent', () => {
  const TRACE = '0af7651916cd43dd8448eb211c80319c'
  const SPAN = 'b7ad6b7169203331'

  it('takes a trace, a span and whether it is kept', () => {
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, traceFlags: 1 })
    expect(parseTraceparent(` 00-${TRACE}-${SPAN}-02 `)?.traceFlags).toBe(0)
    expect(parseTraceparent(`cc-${TRACE}-${SPAN}-01-what-comes-later`)?.spanId).toBe(SPAN)
  })

  it.each([
    undefined,
    '',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ])('ignores %j', (text) => {
    expect(parseTraceparent(text)).toBeUndefined()
  })

  it('gives nothing but valid ids, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789abcf-'.split('')), maxLength: 60 }), (text) => {
        const parsed = parseTraceparent(text)
        if (parsed === undefined) return
        expect(parsed.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
        expect(parsed.spanId).toMatch(/^(?!0{16})[0-9a-f]{16}$/)
      }),
    )
  })
})
