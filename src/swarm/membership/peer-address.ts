/** Addresses of agents: multiaddrs of a host and a TCP port, https://github.com/multiformats/multiaddr */
import { isIP } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import type { HostPort } from '../../util/host-port.ts'
import { parseHostPort } from '../../util/host-port.ts'

export const DEFAULT_PORT = 5051

export interface PeerAddress extends HostPort {
  /** An address that holds for this peer only. */
  readonly id: string | undefined
}

const PARTS = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/p2p\/([A-Za-z0-9]+))?\/?$/

/** A multiaddr, `host` or `host:port`; an IPv6 address in brackets. Undefined for anything else. */
export function parsePeerAddress(text: string, defaultPort: number): PeerAddress | undefined {
  if (text.startsWith('/')) return parseMultiaddr(text)
  const withPort = parseHostPort(text)
  if (withPort !== undefined) return { ...withPort, id: undefined }
  const host = /^\[(.+)\]$/.exec(text)?.[1] ?? text
  const isHost = isIP(host) === 6 ? text.startsWith('[') : /^[A-Za-z0-9._-]+$/.test(host)
  return isHost ? { host, port: defaultPort, id: undefined } : undefined
}

/** Of the forms above; undefined for other transports. */
export function parseMultiaddr(text: string): PeerAddress | undefined {
  const [, kind, host, port, id] = PARTS.exec(text) ?? []
  if (kind === undefined || host === undefined || Number(port) > 65_535) return undefined
  if (kind === 'ip4' && isIP(host) !== 4) return undefined
  if (kind === 'ip6' && isIP(host) !== 6) return undefined
  return { host, port: Number(port), id }
}

export function formatMultiaddr({ host, port, id }: PeerAddress): string {
  const kind = isIP(host) === 0 ? 'dns' : `ip${isIP(host)}`
  return `/${kind}/${host}/tcp/${port}${id === undefined ? '' : `/p2p/${id}`}`
}

/** The address alone: libp2p adds the id once it knows it. */
export function withoutId(address: { toString(): string }): string {
  return address.toString().replace(/\/p2p\/[^/]+$/, '')
}

/** Whether other hosts can reach nothing there but themselves. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

export function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** An address of numbers: the only kind that is taken from peers, since a name could stand for anything. */
export function isNumericMultiaddr(text: string): boolean {
  const address = parseMultiaddr(text)
  return address !== undefined && isIP(address.host) !== 0 && !isAnyAddress(address.host) && address.port !== 0
}

export function toMultiaddr(address: PeerAddress): ReturnType<typeof multiaddr> {
  return multiaddr(formatMultiaddr(address))
}
