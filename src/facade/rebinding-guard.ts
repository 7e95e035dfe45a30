import type { IncomingMessage } from 'node:http'
import { isAddress, isLoopbackAddress, isLoopbackName, isNamed, nameIn, plainAddress } from './host-names.ts'

export interface RebindingGuardInit {
  /** Further names under which clients of this host ask, in lower case; `*.example.internal` stands for all names under it. */
  readonly hosts: readonly string[]
}

/**
 * Keeps web pages away from the mirror: a page whose name was made to resolve to 127.0.0.1 could read whatever the agent may
 * pull, and is told by its `Host`. Clients name an address or `localhost`, and old ones send no `Host`; a page can't leave it out.
 * What does not come over loopback comes from where the agent was told to listen, for whoever reaches it there.
 */
export function isRebound({ headers, socket }: IncomingMessage, { hosts }: RebindingGuardInit): boolean {
  const { host } = headers
  if (host === undefined || host === '') return false
  const local = plainAddress(socket.localAddress)
  if (local === undefined || !isLoopbackAddress(local)) return false
  const name = nameIn(host)
  return name === undefined || !(isLoopbackName(name) || isAddress(name) || isNamed(name, hosts))
}
