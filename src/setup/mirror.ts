import { formatHostPort, type HostPort } from '../util/host-port.ts'
import { refused } from './setup-error.ts'
import type { Mirror } from './setup-types.ts'

/** How clients of this host reach an agent that listens there. @throws ShoalError SETUP_REFUSED when nobody can know */
export function mirrorAt({ host, port }: HostPort): Mirror {
  if (port === 0) throw refused('the agent chooses its port itself: say with --mirror where it listens')
  const anywhere: Partial<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }
  const address = formatHostPort({ host, port })
  const reached = anywhere[host] === undefined ? address : `${anywhere[host]}:${port}`
  return { url: `http://${reached}`, address: reached, plainHttp: true }
}

/** @param text a URL, or `host:port`, which means plain HTTP @throws ShoalError SETUP_REFUSED */
export function parseMirror(text: string): Mirror {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  const bare = url !== null && url.pathname === '/' && url.search + url.hash + url.username + url.password === ''
  if (url === null || !bare || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw refused(`--mirror: expected a URL such as http://127.0.0.1:5050, without a path: ${text}`)
  }
  return { url: url.origin, address: url.host, plainHttp: url.protocol === 'http:' }
}

/** Whether a URL in a client's file means this mirror. */
export function isMirror(mirror: Mirror, text: string): boolean {
  return URL.parse(text)?.href === URL.parse(mirror.url)?.href
}
