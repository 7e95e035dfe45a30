import { formatHostPort } from '../../util/host-port.ts'
import { lru } from '../../util/lru.ts'
import { isNumericMultiaddr, parseMultiaddr } from '../membership/peer-address.ts'

/** More than are connected at once. */
const MAX_PEERS = 1024

/**
 * Where other agents listen, for people: a connection from one of them comes from a port that nobody can use again. What a peer
 * tells of itself may be wrong, so nothing is dialled by it.
 */
export class ListeningAddresses {
  readonly #addresses = lru<string, string>(MAX_PEERS)

  /**
   * @param addresses multiaddrs that the peer tells as its own
   * @param seen multiaddr of its end of the connection: the address with this port counts most, then one with this host
   */
  note(id: string, addresses: readonly string[], seen: string): void {
    const other = parseMultiaddr(seen)
    const rank = (text: string): number => {
      const address = parseMultiaddr(text)
      return address?.host === other?.host ? (address?.port === other?.port ? 0 : 1) : 2
    }
    const [best] = addresses.filter(isNumericMultiaddr).sort((a, b) => rank(a) - rank(b))
    const address = best === undefined ? undefined : parseMultiaddr(best)
    if (address !== undefined) this.#addresses.set(id, formatHostPort(address))
  }

  /** `host:port`; undefined until the peer told it. */
  of(id: string): string | undefined {
    return this.#addresses.get(id)
  }
}
