import type { ByteRange, Scope } from '../blob/ports.ts'
import type { Blobs, CacheStatus, OpenBlob } from '../blob/services.ts'
import { ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { BodyProgress, BodySender } from './body-sender.ts'
import { contentRange, parseRange } from './byte-range.ts'
import { entityTag, isNotModified, rangeCounts } from './conditional.ts'
import type { Exchange } from './exchange.ts'
import type { FacadeMetrics } from './facade-metrics.ts'
import { type BodyPlan, multipart, singlePart } from './multipart-ranges.ts'

const CONTENT_TYPE = 'application/octet-stream'

// https://www.rfc-editor.org/rfc/rfc9211#section-2
const CACHE_STATUS: Record<CacheStatus, string> = {
  hit: 'shoal; hit',
  miss: 'shoal; fwd=miss',
  'pass-through': 'shoal; fwd=bypass',
}

interface Components {
  readonly blobs: Blobs
  readonly sender: BodySender
  readonly metrics: FacadeMetrics
}

/**
 * Answers GET and HEAD of a blob.
 * @throws ShoalError when nothing was sent; when something was, the response is cut already
 */
export async function answerBlob(
  exchange: Exchange,
  components: Components,
  scope: Scope,
  digest: Digest,
): Promise<void> {
  const { isHead, request, signal } = exchange
  const { 'if-none-match': ifNoneMatch } = request.headers
  if (isHead || ifNoneMatch !== undefined) {
    const { size } = await exchange.within(components.blobs.stat(scope, digest, { signal }))
    if (isNotModified(ifNoneMatch, digest)) return end(exchange, 304, validatorHeaders(digest))
    if (isHead) return end(exchange, 200, contentHeaders(digest, CONTENT_TYPE, size))
  }
  const blob = await exchange.within(components.blobs.open(scope, digest, { signal }), (late) => void close(late))
  try {
    await sendBlob(exchange, components, blob)
  } finally {
    await close(blob)
  }
}

async function sendBlob(exchange: Exchange, { sender, metrics }: Components, blob: OpenBlob): Promise<void> {
  const { digest, size } = blob
  const { range: rangeHeader } = exchange.request.headers
  const asked = parseRange(rangeCounts(ifRangeOf(exchange), digest) ? rangeHeader : undefined, size)
  if (asked.kind === 'unsatisfiable') {
    throw new ShoalError('RANGE_INVALID', 'the blob has no such bytes', { detail: { size } })
  }

  const whole = { start: 0, end: size }
  const ranges = asked.kind === 'ranges' ? asked.ranges : undefined
  const plan = planBody(ranges, whole)
  const headers = [
    ...contentHeaders(digest, plan.contentType, plan.length),
    'Cache-Status',
    CACHE_STATUS[blob.cacheStatus],
  ]
  if (ranges?.length === 1) headers.push('Content-Range', contentRange(ranges[0] ?? whole, size))
  exchange.span.set({ 'shoal.cache': blob.cacheStatus, 'http.response.body.size': plan.length })
  const progress: BodyProgress = {
    onFirstBytes: () => {
      exchange.firstByteIsThere()
      metrics.firstByte('blob', (performance.now() - exchange.startedAt) / 1_000)
      exchange.writeHead(ranges === undefined ? 200 : 206, headers)
    },
    onSent: (bytes) => metrics.served(blob.cacheStatus, bytes),
  }
  await sender.send(exchange.response, blob, plan, progress, { signal: exchange.signal })
  metrics.lastByte('blob', (performance.now() - exchange.startedAt) / 1_000)
}

function planBody(ranges: readonly [ByteRange, ...ByteRange[]] | undefined, whole: ByteRange): BodyPlan {
  if (ranges === undefined) return singlePart(CONTENT_TYPE, whole)
  return ranges.length === 1 ? singlePart(CONTENT_TYPE, ranges[0]) : multipart(CONTENT_TYPE, ranges, whole.end)
}

function ifRangeOf(exchange: Exchange): string | undefined {
  const value = exchange.request.headers['if-range']
  return Array.isArray(value) ? value.join(', ') : value
}

function contentHeaders(digest: Digest, contentType: string, length: number): string[] {
  return [
    'Content-Type',
    contentType,
    'Content-Length',
    `${length}`,
    'Accept-Ranges',
    'bytes',
    ...validatorHeaders(digest),
  ]
}

function validatorHeaders(digest: Digest): string[] {
  return ['Docker-Content-Digest', digest, 'ETag', entityTag(digest)]
}

function end(exchange: Exchange, status: number, headers: readonly string[]): void {
  exchange.writeHead(status, headers)
  exchange.response.end()
}

async function close(blob: OpenBlob): Promise<void> {
  await blob.close().catch(() => {})
}
