/** Human values of the configuration: what they may look like, and the bytes, milliseconds and addresses they stand for. */
import { isIP } from 'node:net'
import { z } from 'zod'
import { parseRegistry } from './oci/reference.ts'
import { parseByteSize } from './util/byte-size.ts'
import { parseDuration } from './util/duration.ts'
import { type HostPort, parseHostPort } from './util/host-port.ts'

export const bytes = z.union([z.string(), z.number()]).transform((value, context): number => {
  const parsed = parseByteSize(String(value))
  if (parsed !== undefined) return parsed
  context.addIssue({ code: 'custom', message: 'expected a size such as 512MiB or 50GiB' })
  return z.NEVER
})

export const milliseconds = z.string().transform((value, context): number => {
  const parsed = parseDuration(value)
  if (parsed !== undefined) return parsed
  context.addIssue({ code: 'custom', message: 'expected a duration such as 30s, 5m or 7d' })
  return z.NEVER
})

export const bytesPerSecond = z
  .union([z.literal('unlimited'), bytes])
  .transform((value, context): number | undefined => {
    if (value === 'unlimited') return undefined
    if (value > 0) return value
    context.addIssue({ code: 'custom', message: 'expected unlimited, or bytes per second such as 50MiB' })
    return z.NEVER
  })

export const address = z.string().transform((value, context): HostPort => {
  const parsed = parseHostPort(value)
  if (parsed !== undefined) return parsed
  context.addIssue({ code: 'custom', message: 'expected host:port' })
  return z.NEVER
})

export const numericAddress = address.refine(({ host }) => isIP(host) !== 0, {
  error: 'expected an IP address and a port, such as 0.0.0.0:5051 or [::]:5051',
})

export const registry = z.string().transform((value, context): string => {
  try {
    return parseRegistry(value)
  } catch {
    context.addIssue({ code: 'custom', message: 'expected a registry, host or host:port' })
    return z.NEVER
  }
})

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?'
const HOST_NAME = new RegExp(`^(?=.{1,253}\\.?$)${LABEL}(?:\\.${LABEL})*\\.?$`)
// https://github.com/multiformats/multiaddr: the protocols that a TCP address of another agent can be made of
const MULTIADDR = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/p2p\/([^/]+))?$/
// an Ed25519 key, in the one text form that libp2p gives it
const PEER_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/

/** The name of a host in a request, in lower case and without a dot at its end; `*.` in front stands for all names under it. */
export const hostName = z.string().transform((value, context): string => {
  if (HOST_NAME.test(value.replace(/^\*\./, ''))) return value.toLowerCase().replace(/\.$/, '')
  context.addIssue({
    code: 'custom',
    message: 'expected a host name without a port, such as node-1.example or *.example',
  })
  return z.NEVER
})

/** Where another agent can be reached: a multiaddr, `host` or `host:port`. */
export const agentAddress = z.string().refine(isAgentAddress, {
  error: 'expected host, host:port or a multiaddr such as /ip4/10.0.0.7/tcp/5051 (an IPv6 address in brackets)',
})

export const peerId = z
  .string()
  .regex(PEER_ID, { error: 'expected the id of an agent, 12D3KooW… as `shoal status` shows it' })

function isAgentAddress(text: string): boolean {
  if (text.startsWith('/')) return isMultiaddr(text)
  const { host, port } = parseHostPort(text) ?? { host: text.replace(/^\[(.*)\]$/, '$1'), port: undefined }
  if (port === 0) return false
  // without brackets, what stands behind the last colon could be a port
  return isIP(host) === 6 ? text.startsWith('[') : isHost(host)
}

function isMultiaddr(text: string): boolean {
  const [, protocol, host = '', port, id] = MULTIADDR.exec(text) ?? []
  if (protocol === undefined || Number(port) < 1 || Number(port) > 65_535) return false
  if (id !== undefined && !PEER_ID.test(id)) return false
  if (protocol === 'ip4') return isIP(host) === 4
  return protocol === 'ip6' ? isIP(host) === 6 : isIP(host) === 0 && HOST_NAME.test(host)
}

/** An IPv4 address or a name; what looks like an address but is none, such as 10.0.0.256, is neither. */
function isHost(host: string): boolean {
  return isIP(host) === 4 || (HOST_NAME.test(host) && !/^[\d.]+$/.test(host))
}
