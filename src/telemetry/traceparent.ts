export interface TraceParent {
  readonly traceId: string
  readonly spanId: string
  /** Bit 0: the caller keeps its part of the trace. */
  readonly traceFlags: number
}

// https://www.w3.org/TR/trace-context/#traceparent-header: version "-" trace-id "-" parent-id "-" trace-flags, later versions may go on
const PATTERN = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?<rest>-.*)?$/

/** @returns undefined for what is to be ignored */
export function parseTraceparent(text: string | undefined): TraceParent | undefined {
  const [, version, traceId, spanId, flags, rest] = PATTERN.exec(text?.trim() ?? '') ?? []
  if (traceId === undefined || spanId === undefined || (version === '00' && rest !== undefined)) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags ?? '0', 16) & 1 }
}
