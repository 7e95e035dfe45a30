/** What a `Host` header names. Names are in lower case and without the port. */
import { isIP } from 'node:net'

const IN_CONTAINERS: ReadonlySet<string> = new Set(['host.docker.internal', 'host.containers.internal'])

/** @returns undefined for what is no name or address with at most a port behind it; IPv6 keeps its brackets, a name loses the dot at its end */
export function nameIn(host: string | undefined): string | undefined {
  const form = /^(?:(\[[0-9a-f:.]+\])|([a-z0-9._-]*[a-z0-9_-])\.?)(?::\d{1,5})?$/
  const [, address, name] = form.exec(host?.toLowerCase() ?? '') ?? []
  return address ?? name
}

/** @param hosts in lower case; `*.example.internal` stands for all names under it */
export function isNamed(name: string, hosts: readonly string[]): boolean {
  return hosts.some((host) => (host.startsWith('*.') ? name.endsWith(host.slice(1)) : name === host))
}

export function isAddress(name: string): boolean {
  return isIP(withoutBrackets(name)) !== 0
}

export function isLoopbackName(name: string): boolean {
  return name === 'localhost' || isLoopbackAddress(withoutBrackets(name))
}

/** What docker and podman call the host inside of containers. */
export function isContainersName(name: string): boolean {
  return IN_CONTAINERS.has(name)
}

export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address)
}

/** Where a connection arrived: an IPv4 address as such, also on a socket for both. */
export function plainAddress(localAddress: string | undefined): string | undefined {
  return localAddress?.toLowerCase().replace(/^::ffff:/, '')
}

function withoutBrackets(name: string): string {
  return name.replace(/^\[(.*)\]$/, '$1')
}
