/** From what the operator wrote to addresses that can be dialled: a name stands for all of its addresses. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Abortable } from '../../blob/ports.ts'
import { raceAbort } from '../../util/race-abort.ts'
import { type PeerAddress, parsePeerAddress } from '../membership/peer-address.ts'

/** All A and AAAA records of the name. Rejects when there are none. */
export type Resolve = (name: string) => Promise<readonly string[]>

/** As every program on this host resolves names: hosts file and search domains included. */
export const systemResolve: Resolve = async (name) => {
  const found = await lookup(name, { all: true })
  return found.map(({ address }) => address)
}

/** A name may stand for a whole fleet. */
const MAX_RECORDS = 1024

/**
 * @returns numeric addresses
 * @throws the resolver's error, or the signal's reason
 */
export async function expandAddress(
  entry: string,
  { resolve, defaultPort }: { readonly resolve: Resolve; readonly defaultPort: number },
  { signal }: Abortable,
): Promise<PeerAddress[]> {
  const address = parsePeerAddress(entry, defaultPort)
  if (address === undefined) return []
  if (isIP(address.host) !== 0) return [address]
  const found = await raceAbort(resolve(address.host), signal)
  return found
    .slice(0, MAX_RECORDS)
    .filter((host) => isIP(host) !== 0)
    .map((host) => ({ host, port: address.port, id: address.id }))
}
