import type { IncomingMessage } from 'node:http'
import { isAddress, isLoopbackName, isNamed, nameIn, plainAddress } from './host-names.ts'

export interface CrossSiteGuardInit {
  /** Further names of this host, in lower case; `*.example.internal` stands for all names under it. */
  readonly hosts: readonly string[]
}

/**
 * Keeps web pages, which can send requests to this host from a user's browser, away from the admin listener: a page on
 * another site is told by `Origin` or `Sec-Fetch-Site`, a page whose host name was made to resolve to this host by `Host`.
 * Such a page has a name: what is asked for by a mere address may be read.
 * @returns why the request is refused, undefined when it is not
 */
export function refusal(request: IncomingMessage, { hosts }: CrossSiteGuardInit): string | undefined {
  const { host, origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode } = request.headers
  const name = nameIn(host)
  if (host === undefined || name === undefined) return 'the Host is not this agent'
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const isKnown = isOwnName(name, request.socket.localAddress) || isNamed(name, hosts)
  if (!isKnown && !(isRead && isAddress(name))) return `the Host is not this agent: see admin.hosts`
  if (origin !== undefined && !isSameOrigin(origin, host)) return 'the request comes from another site'
  // `none`: typed by the user, not sent by a page. A link on another page may be followed.
  const isOwnSite = site === undefined || site === 'same-origin' || site === 'none'
  if (!isOwnSite && !(isRead && mode === 'navigate')) return 'the request comes from another site'
  return undefined
}

function isOwnName(name: string, localAddress: string | undefined): boolean {
  const local = plainAddress(localAddress)
  return isLoopbackName(name) || (local !== undefined && (name === local || name === `[${local}]`))
}

/** Whatever ends TLS before this listener keeps the name. */
function isSameOrigin(origin: string, host: string): boolean {
  const lower = origin.toLowerCase()
  return lower === `http://${host.toLowerCase()}` || lower === `https://${host.toLowerCase()}`
}
