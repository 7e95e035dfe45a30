/**
 * Spans as OpenTelemetry knows them. Owns the queue of ended spans and their way out; which span runs where is kept in an
 * AsyncLocalStorage. Loaded by `tracing.ts` only, for it takes some 20 MiB.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Context,
  DiagLogLevel,
  diag,
  type Span as OtelApiSpan,
  type Tracer as OtelApiTracer,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { ShoalError } from '../errors.ts'
import type { Logger } from '../util/logger.ts'
import { raceAbort } from '../util/race-abort.ts'
import { noSpan, type Span, type SpanAttributes, type SpanOptions, type Tracer } from '../util/tracer.ts'
import { parseTraceparent } from './traceparent.ts'
import type { Tracing, TracingSettings } from './tracing.ts'

const MAX_ATTRIBUTE = 1_024
/** A collector that is gone must not hold up the end of the agent. */
const FLUSH_MS = 2_000
const MAX_PROBLEM = 200

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT } as const

export class OtelTracing implements Tracing {
  readonly tracer: Tracer
  readonly #provider: TracerProvider

  constructor(components: { readonly log: Logger }, init: TracingSettings) {
    const { target, attributes, sampler } = init
    const { log } = components
    const tell = (message: string): void => log.warn({ problem: plain(message) }, 'traces are lost')
    diag.setLogger(
      { error: tell, warn: () => {}, info: () => {}, debug: () => {}, verbose: () => {} },
      { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true },
    )
    const exporter = target.kind === 'otlp' ? new OTLPTraceExporter({ url: target.url }) : new ConsoleSpanExporter()
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes(attributes),
      sampler: samplerOf(sampler),
      spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE },
      spanProcessors: [new BatchSpanProcessor({ exporter })],
    })
    this.tracer = new OtelTracer({ tracer: this.#provider.getTracer('shoal') })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await raceAbort(this.#provider.shutdown(), AbortSignal.timeout(FLUSH_MS)).catch(() => {})
  }
}

class OtelTracer implements Tracer {
  readonly #tracer: OtelApiTracer
  readonly #running = new AsyncLocalStorage<OtelSpan>()

  constructor(components: { readonly tracer: OtelApiTracer }) {
    this.#tracer = components.tracer
  }

  startSpan(name: string, attributes: SpanAttributes, options: SpanOptions = {}): Span {
    const kind = options.kind === undefined ? SpanKind.INTERNAL : KINDS[options.kind]
    const parent = options.parent instanceof OtelSpan ? options.parent : this.#running.getStore()
    // What nobody pulls for, such as a look at a tag for another agent, is no trace of its own.
    if (parent === undefined && options.kind === 'client') return noSpan
    const context = parent === undefined ? remote(options.traceparent) : trace.setSpan(ROOT_CONTEXT, parent.inner)
    return new OtelSpan(this.#tracer.startSpan(name, { kind, attributes: defined(attributes) }, context))
  }

  within<T>(span: Span, work: () => T): T {
    return span instanceof OtelSpan ? this.#running.run(span, work) : work()
  }
}

class OtelSpan implements Span {
  readonly inner: OtelApiSpan

  constructor(inner: OtelApiSpan) {
    this.inner = inner
  }

  set(attributes: SpanAttributes): void {
    this.inner.setAttributes(defined(attributes))
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      // Texts of errors that are not ours may quote a URL.
      const type = error instanceof ShoalError ? error.code : error instanceof Error ? error.name : 'unknown'
      this.inner.setAttribute('error.type', type)
      this.inner.setStatus({
        code: SpanStatusCode.ERROR,
        ...(error instanceof ShoalError && { message: error.message }),
      })
    }
    this.inner.end()
  }
}

function remote(traceparent: string | undefined): Context {
  const parsed = parseTraceparent(traceparent)
  return parsed === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parsed, isRemote: true })
}

function samplerOf({ root, heedsParent }: TracingSettings['sampler']): Sampler {
  const own =
    typeof root === 'number'
      ? new TraceIdRatioBasedSampler(root)
      : root === 'on'
        ? new AlwaysOnSampler()
        : new AlwaysOffSampler()
  return heedsParent ? new ParentBasedSampler({ root: own }) : own
}

function defined(attributes: SpanAttributes): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
}

/** Without what a URL may carry behind its path, and without credentials before its host. */
function plain(message: string): string {
  return message
    .replaceAll(/\/\/[^/@\s]*@/g, '//')
    .replaceAll(/\?[^\s"']*/g, '')
    .slice(0, MAX_PROBLEM)
}
