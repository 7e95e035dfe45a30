import { isIP } from 'node:net'
import { type HostPort, parseHostPort } from '../util/host-port.ts'

const MULTIADDR = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/|$)/
const DEFAULT_PORT = 5051

/** An entry of `swarm.bootstrap`: multiaddr, `host` or `host:port`. Undefined for what is none of these. */
export function parseBootstrapEntry(entry: string): HostPort | undefined {
  const [, host, port] = MULTIADDR.exec(entry) ?? []
  if (host !== undefined) return { host, port: Number(port) }
  if (entry.startsWith('/')) return undefined
  return parseHostPort(entry) ?? { host: entry.replace(/^\[(.*)\]$/, '$1'), port: DEFAULT_PORT }
}

export function isName({ host }: HostPort): boolean {
  return isIP(host) === 0
}
