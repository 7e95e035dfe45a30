import type { Scope } from '../blob/ports.ts'
import type { ManifestHead, Manifests } from '../blob/services.ts'
import type { TagOrDigest } from '../oci/reference.ts'
import { entityTag, isNotModified } from './conditional.ts'
import type { Exchange } from './exchange.ts'
import type { FacadeMetrics } from './facade-metrics.ts'

/**
 * Answers GET and HEAD of a manifest. A `Range` is ignored: containerd sends `bytes=0-` for everything, and is content
 * with a 200.
 * @throws ShoalError when nothing was sent
 */
export async function answerManifest(
  exchange: Exchange,
  { manifests, metrics }: { manifests: Manifests; metrics: FacadeMetrics },
  scope: Scope,
  reference: TagOrDigest,
): Promise<void> {
  const { isHead, request, response, signal } = exchange
  const ifNoneMatch = request.headers['if-none-match']
  if (isHead || ifNoneMatch !== undefined) {
    const head = await exchange.within(manifests.head(scope, reference, { signal }))
    if (isNotModified(ifNoneMatch, head.digest)) return end(exchange, 304, validatorHeaders(head))
    if (isHead) return end(exchange, 200, contentHeaders(head, head.size))
  }
  const manifest = await exchange.within(manifests.get(scope, reference, { signal }))
  exchange.writeHead(200, contentHeaders(manifest, manifest.bytes.length))
  const seconds = (performance.now() - exchange.startedAt) / 1_000
  metrics.firstByte('manifest', seconds)
  if (manifest.stale !== undefined) metrics.stale()
  response.end(manifest.bytes)
  metrics.lastByte('manifest', seconds)
}

function contentHeaders(head: ManifestHead, length: number): string[] {
  return ['Content-Type', head.mediaType, 'Content-Length', `${length}`, ...validatorHeaders(head)]
}

function validatorHeaders({ digest, stale }: ManifestHead): string[] {
  const headers = ['Docker-Content-Digest', digest, 'ETag', entityTag(digest)]
  if (stale !== undefined) {
    const age = Math.max(0, Math.floor(stale.ageSeconds))
    // https://www.rfc-editor.org/rfc/rfc9211#section-2.4: the ttl of something stale is negative
    headers.push('Cache-Status', `shoal; hit; ttl=-${age}; detail=origin-unreachable`, 'Age', `${age}`)
  }
  return headers
}

function end(exchange: Exchange, status: number, headers: readonly string[]): void {
  exchange.writeHead(status, headers)
  exchange.response.end()
}
