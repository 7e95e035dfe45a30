import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { refusal } from '../../../src/facade/cross-site-guard.ts'

interface Asked {
  readonly method?: string
  readonly local?: string
  readonly hosts?: readonly string[]
  readonly host?: string
  readonly origin?: string
  readonly site?: string
  readonly mode?: string
}

function isRefused({ method = 'GET', local = '127.0.0.1', hosts = [], host, origin, site, mode }: Asked): boolean {
  const headers = { host, origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode }
  const request = { method, headers, socket: { localAddress: local } } as unknown as IncomingMessage
  return refusal(request, { hosts }) !== undefined
}

const METHODS = ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS']
const OWN = [
  { host: 'localhost:5053' },
  { host: 'LOCALHOST' },
  { host: 'localhost.' },
  { host: '127.0.0.1:5053' },
  { host: '127.9.8.7' },
  { host: '[::1]:5053' },
  { host: '10.0.0.7:5053', local: '10.0.0.7' },
  { host: '10.0.0.7', local: '::ffff:10.0.0.7' },
  { host: '[fd00::7]:5053', local: 'fd00::7' },
  { host: 'node-1.example:5053', hosts: ['node-1.example'] },
  { host: 'a.b.fleet.example', hosts: ['x.example', '*.fleet.example'] },
]
const FOREIGN = [
  {},
  { host: '' },
  { host: 'evil.test' },
  { host: 'evil.test:5053', origin: 'http://evil.test:5053', site: 'same-origin' },
  { host: 'localhost.evil.test' },
  { host: '127.0.0.1.evil.test' },
  { host: 'localhost..' },
  { host: 'host.docker.internal' },
  { host: 'user@localhost' },
  { host: 'localhost:5053:evil' },
  { host: 'localhost, evil.test' },
  { host: '[::1].evil.test' },
  { host: '0x7f000001' },
  { host: '2130706433' },
  { host: 'fleet.example', hosts: ['*.fleet.example'] },
  { host: 'evilfleet.example', hosts: ['*.fleet.example'] },
  { host: 'node-1.example.evil.test', hosts: ['node-1.example'] },
]

describe.each(METHODS)('%s', (method) => {
  it.each(OWN)('is answered under names of this host: %o', (asked) => {
    expect(isRefused({ method, ...asked })).toBe(false)
    expect(isRefused({ method, ...asked, origin: `http://${asked.host}`, site: 'same-origin', mode: 'cors' })).toBe(
      false,
    )
    expect(isRefused({ method, ...asked, origin: `https://${asked.host}` })).toBe(false)
    expect(isRefused({ method, ...asked, site: 'none', mode: 'navigate' })).toBe(false)
  })

  it.each(FOREIGN)('is refused under any other name: %o', (asked) => {
    expect(isRefused({ method, ...asked })).toBe(true)
    expect(isRefused({ method, ...asked, site: 'none', mode: 'navigate' })).toBe(true)
  })

  it.each([
    { origin: 'null' },
    { origin: 'http://evil.test' },
    { origin: 'http://localhost:8080' },
    { origin: 'http://localhost' },
    { origin: 'http://127.0.0.1:5053' },
    { site: 'cross-site', mode: 'cors' },
    { site: 'cross-site', mode: 'no-cors' },
    { site: 'same-site', mode: 'no-cors' },
    { site: 'cross-site' },
    { site: 'made-up' },
  ])('is refused to pages of other sites: %o', (asked) => {
    expect(isRefused({ method, host: 'localhost:5053', ...asked })).toBe(true)
  })
})

it('lets a link on another page be followed, and a form on it not be sent', () => {
  const asked = { host: 'localhost:5053', site: 'cross-site', mode: 'navigate' }
  expect(isRefused({ ...asked, method: 'GET' })).toBe(false)
  expect(isRefused({ ...asked, method: 'POST' })).toBe(true)
})

it('lets what comes under an address that this host does not know itself be read, and nothing be changed', () => {
  for (const host of ['10.0.0.9:30053', '[fd00::9]:30053']) {
    expect(isRefused({ method: 'GET', host })).toBe(false)
    expect(isRefused({ method: 'GET', host, origin: 'http://evil.test' })).toBe(true)
    expect(isRefused({ method: 'DELETE', host })).toBe(true)
  }
})
