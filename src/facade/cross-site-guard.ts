import type { IncomingMessage } from 'node:http'

/**
 * Keeps web pages, which can send requests to this host from a user's browser, away from the admin API: a page on
 * another site is told by `Origin` or `Sec-Fetch-Site`, a page whose host name was made to resolve to this host by
 * `Host`.
 * @returns why the request is refused, undefined when it is not
 */
export function refusal(request: IncomingMessage): string | undefined {
  const { host, origin, 'sec-fetch-site': site } = request.headers
  if (host === undefined || !isOwnName(host, request.socket.localAddress)) return 'the Host is not this agent'
  if (request.method === 'GET' || request.method === 'HEAD') return undefined
  if (origin !== undefined && !isSameOrigin(origin, host)) return 'the request comes from another site'
  // `none`: typed by the user, not sent by a page
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'the request comes from another site'
  return undefined
}

function isOwnName(host: string, localAddress: string | undefined): boolean {
  const [, name = ''] = /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(host.toLowerCase()) ?? []
  if (name === 'localhost' || name === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name)) return true
  const local = localAddress?.toLowerCase().replace(/^::ffff:/, '')
  return local !== undefined && (name === local || name === `[${local}]`)
}

function isSameOrigin(origin: string, host: string): boolean {
  return origin.toLowerCase() === `http://${host.toLowerCase()}`
}
