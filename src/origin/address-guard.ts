import { type LookupAddress, lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { ShoalError } from '../errors.ts'

const FORBIDDEN = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8], // unspecified
  ['169.254.0.0', 16], // link-local, metadata of most clouds
  ['100.100.100.200', 32], // metadata of Alibaba Cloud
  ['192.0.0.192', 32], // metadata of Oracle Cloud
  ['168.63.129.16', 32], // wire server of Azure
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
] as const) {
  FORBIDDEN.addSubnet(network, prefix, 'ipv4')
}
for (const [network, prefix] of [
  ['::', 128], // unspecified
  ['fe80::', 10], // link-local
  ['ff00::', 8], // multicast
  ['fd00:ec2::', 64], // metadata and credentials of AWS
  ['fd20:ce::254', 128], // metadata of Google Cloud
  ['::169.254.0.0', 112], // link-local inside other forms: IPv4-compatible, NAT64, 6to4
  ['64:ff9b::169.254.0.0', 112],
  ['2002:a9fe::', 32],
] as const) {
  FORBIDDEN.addSubnet(network, prefix, 'ipv6')
}

/** Whether nothing may be asked of this address, given as a literal. IPv4-mapped IPv6 counts as its IPv4. */
export function isForbiddenAddress(address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  const family = isIP(plain)
  return family !== 0 && FORBIDDEN.check(plain, family === 6 ? 'ipv6' : 'ipv4')
}

/** @returns the URL's host without brackets */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}

/** @returns host:port with the port always there */
export function authorityOf(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`
}

/**
 * Keeps requests away from addresses that belong to the host or its cloud. What the configuration names is exempt.
 * Names are checked where they are resolved for the connection itself, so a second answer of the DNS cannot slip by.
 */
export class AddressGuard {
  /** host:port of what the configuration names. */
  exempt: ReadonlySet<string>

  constructor(init: { exempt: ReadonlySet<string> }) {
    this.exempt = init.exempt
  }

  isExempt(authority: string): boolean {
    return this.exempt.has(authority)
  }

  /** Looks at a literal address only. @throws ShoalError ADDRESS_NOT_ALLOWED */
  check(url: URL): void {
    if (!this.isExempt(authorityOf(url)) && isForbiddenAddress(hostOf(url))) throw notAllowed(hostOf(url))
  }
}

/** A `lookup` that knows no forbidden addresses, for the options of a socket. */
export function guardLookup(resolve: LookupFunction = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, [])
        return
      }
      const allowed = (found as LookupAddress[]).filter((one) => !isForbiddenAddress(one.address))
      const first = allowed[0]
      if (first === undefined) callback(notAllowed(hostname), [])
      else if (options.all === true) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}

function notAllowed(host: string): ShoalError {
  return new ShoalError('ADDRESS_NOT_ALLOWED', 'address is not allowed as an origin', { detail: { host } })
}
