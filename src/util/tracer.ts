/** What components say of the course of their work, so that it can be followed across them. */

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>

/** One piece of work, from its start to its end. */
export interface Span {
  /** Never credentials, nor a query: spans leave the host. */
  set(attributes: SpanAttributes): void
  /** @param error that it ended with; to be called once */
  end(error?: unknown): void
}

export interface SpanOptions {
  readonly kind?: 'server' | 'client'
  /** The span that it is a part of; by default the one that runs here. */
  readonly parent?: Span
  /** `traceparent` of a caller on another host, where no span runs here. */
  readonly traceparent?: string | undefined
}

export interface Tracer {
  startSpan(name: string, attributes: SpanAttributes, options?: SpanOptions): Span
  /** Spans that are started by `work`, and by what it starts, are parts of this one. */
  within<T>(span: Span, work: () => T): T
}

export const noSpan: Span = { set: () => {}, end: () => {} }

/** For agents that are not traced. */
export const noTracer: Tracer = { startSpan: () => noSpan, within: (_span, work) => work() }

/** Runs `work` as a span of its own. */
export async function traced<T>(
  tracer: Tracer,
  name: string,
  attributes: SpanAttributes,
  work: (span: Span) => Promise<T>,
  options?: SpanOptions,
): Promise<T> {
  if (tracer === noTracer) return await work(noSpan)
  const span = tracer.startSpan(name, attributes, options)
  try {
    const result = await tracer.within(span, () => work(span))
    span.end()
    return result
  } catch (error) {
    span.end(error)
    throw error
  }
}
