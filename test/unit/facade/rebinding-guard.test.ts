import type { IncomingMessage } from 'node:http'
import { expect, it } from 'vitest'
import { pageRefusal } from '../../../src/facade/rebinding-guard.ts'

interface Asked {
  readonly host?: string
  readonly local?: string
  readonly hosts?: readonly string[]
  readonly site?: string
}

function isRefused({ host, local = '127.0.0.1', hosts = [], site }: Asked): boolean {
  const headers = { host, 'sec-fetch-site': site }
  const request = { headers, socket: { localAddress: local } } as unknown as IncomingMessage
  return pageRefusal(request, { hosts }) !== undefined
}

// docker, containerd, BuildKit, podman and skopeo name the mirror as it stands in their files: see `shoal setup`
it.each([
  { host: '127.0.0.1:5050' },
  { host: '127.0.0.1' },
  { host: '127.9.8.7:5050' },
  { host: 'localhost:5050' },
  { host: 'LocalHost' },
  { host: 'localhost.:5050' },
  { host: 'Node-1.:5050', hosts: ['node-1'] },
  { host: 'host.docker.internal:5050' },
  { host: 'host.containers.internal:5050' },
  { host: '[::1]:5050', local: '::1' },
  { host: '10.0.0.7:5050' },
  { host: '[fd00::7]:5050' },
  { host: 'Node-1:5050', hosts: ['node-1'] },
  { host: 'mirror.fleet.example', hosts: ['*.fleet.example'] },
  {},
  { host: '' },
  { host: '127.0.0.1:5050', site: 'none' },
  { host: '127.0.0.1:5050', site: 'same-origin' },
])('answers a client of this host: %o', (asked) => {
  expect(isRefused(asked)).toBe(false)
})

it.each([
  { host: 'evil.test:5050' },
  { host: 'evil.test', local: '::1' },
  { host: 'evil.test', local: '::ffff:127.0.0.1' },
  { host: 'evil.test', local: '127.9.8.7' },
  { host: 'localhost.evil.test' },
  { host: '127.0.0.1.evil.test' },
  { host: '2130706433' },
  { host: 'localhost..' },
  { host: '[::1].' },
  { host: '.' },
  { host: 'host.docker.internal.evil.test' },
  { host: 'user@localhost' },
  { host: 'localhost, evil.test' },
  { host: 'node-1.evil.test', hosts: ['node-1'] },
  { host: 'evilfleet.example', hosts: ['*.fleet.example'] },
])('refuses a page whose name was made to resolve to loopback: %o', (asked) => {
  expect(isRefused(asked)).toBe(true)
})

it.each([
  { host: '127.0.0.1:5050', site: 'cross-site' },
  { host: 'localhost:5050', site: 'same-site' },
  { host: '127.0.0.1:5050', site: 'none, cross-site' },
  { host: '127.0.0.1:5050', site: '' },
  { site: 'cross-site' },
  { host: 'node-1', hosts: ['node-1'], site: 'cross-site' },
])('refuses a page of another site: %o', (asked) => {
  expect(isRefused(asked)).toBe(true)
})

it('answers under any name where the agent was told to listen for others', () => {
  for (const local of ['10.0.0.7', '::ffff:10.0.0.7', 'fd00::7']) {
    expect(isRefused({ host: 'mirror.example:5050', local })).toBe(false)
    expect(isRefused({ host: 'mirror.example:5050', local, site: 'cross-site' })).toBe(false)
  }
})
