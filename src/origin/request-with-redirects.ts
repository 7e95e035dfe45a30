import type { Abortable } from '../blob/ports.ts'
import type { AddressGuard } from './address-guard.ts'
import { discard } from './bounded-body.ts'
import type { HttpAnswer, HttpRequest, Traffic } from './http-exchange.ts'
import { misbehaved, OriginFailure, toOriginFailure } from './origin-failure.ts'
import type { OriginPool } from './origin-pool.ts'

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])

export interface ExchangeOptions extends Abortable {
  readonly registry: string
  /** Whether a redirect from https to http is fine. */
  readonly plainHttp: boolean
  readonly traffic: Traffic
}

/**
 * Sends a request and follows redirects. `authorization` goes to the host, port and scheme of the request only.
 * @throws ShoalError ADDRESS_NOT_ALLOWED, ORIGIN_UNAVAILABLE, ORIGIN_MISBEHAVED, ABORTED
 */
export async function requestWithRedirects(
  { pool, guard }: { pool: OriginPool; guard: AddressGuard },
  request: HttpRequest,
  options: ExchangeOptions,
): Promise<HttpAnswer> {
  const { registry, plainHttp, traffic, signal } = options
  const { authorization: _, ...anonymous } = request.headers
  const seen = new Set<string>()
  let { url, headers } = request
  for (;;) {
    seen.add(url.href)
    guard.check(url)
    const redirected = url.origin !== request.url.origin
    const answer = await pool
      .request(registry, { ...request, url, headers }, traffic, { signal })
      .catch((error: unknown) => {
        const failure = toOriginFailure(registry, error, signal)
        throw redirected && failure instanceof OriginFailure ? failure.elsewhere() : failure
      })
    if (!REDIRECTS.has(answer.status) || request.method === 'POST') return { ...answer, redirected }
    discard(answer)
    const next = target(registry, url, answer)
    if (seen.has(next.href)) throw misbehaved(registry, 'redirects in a loop')
    if (seen.size > MAX_REDIRECTS) throw misbehaved(registry, `redirects more than ${MAX_REDIRECTS} times`)
    if (url.protocol === 'https:' && next.protocol === 'http:' && !plainHttp) {
      throw misbehaved(registry, 'redirects from https to http')
    }
    // Once it has left the registry, the way back is not trusted either.
    if (next.origin !== request.url.origin) headers = anonymous
    url = next
  }
}

function target(registry: string, url: URL, answer: HttpAnswer): URL {
  const { location } = answer.headers
  if (location === undefined) throw misbehaved(registry, 'redirects without a Location')
  const next = URL.parse(location, url.href)
  if (next === null || !/^https?:$/.test(next.protocol)) throw misbehaved(registry, 'redirects to no http URL')
  next.hash = ''
  return next
}
