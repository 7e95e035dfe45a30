import type { IncomingMessage } from 'node:http'
import {
  isAddress,
  isContainersName,
  isLoopbackAddress,
  isLoopbackName,
  isNamed,
  nameIn,
  plainAddress,
} from './host-names.ts'

export interface RebindingGuardInit {
  /** Further names under which clients of this host ask, in lower case; `*.example.internal` stands for all names under it. */
  readonly hosts: readonly string[]
}

/**
 * Keeps web pages away from the mirror. One whose name was made to resolve to 127.0.0.1 could read whatever the agent may pull, and is told by
 * its `Host`: clients name an address or a name of this host, and old ones send no `Host`, which a page can't leave out. One of
 * another site could make the agent pull, and is told by `Sec-Fetch-Site`, which no client sends.
 * What does not come over loopback comes from where the agent was told to listen, for whoever reaches it there.
 * @returns why the request is refused, undefined when it is not
 */
export function pageRefusal({ headers, socket }: IncomingMessage, { hosts }: RebindingGuardInit): string | undefined {
  const local = plainAddress(socket.localAddress)
  if (local === undefined || !isLoopbackAddress(local)) return undefined
  const { host, 'sec-fetch-site': site } = headers
  if (site !== undefined && site !== 'none' && site !== 'same-origin') return 'the request comes from a web page'
  if (host === undefined || host === '') return undefined
  const name = nameIn(host)
  const isKnown = name !== undefined && (isOwnName(name) || isNamed(name, hosts))
  return isKnown
    ? undefined
    : 'the Host is none of this host: if clients know the agent by that name, add it to facade.hosts'
}

function isOwnName(name: string): boolean {
  return isLoopbackName(name) || isContainersName(name) || isAddress(name)
}
