import { expect, it } from 'vitest'
import { SilentHosts } from '../../../src/origin/silent-hosts.ts'

function build(fullMs: number) {
  const clock = { now: 5_000 }
  return { clock, hosts: new SilentHosts({ clock: () => clock.now }, { fullMs, shortMs: 10_000 }) }
}

it('a host that was silent is waited for less, and another one as long as before', () => {
  const { hosts } = build(30_000)
  hosts.timedOut('http://a', 30_000)
  expect([hosts.waitMs('http://a'), hosts.waitMs('http://b')]).toEqual([10_000, 30_000])
})

it('one that answers, or was silent long ago, is waited for in full, and short waits do not renew it', () => {
  const { hosts, clock } = build(30_000)
  hosts.timedOut('http://a', 30_000)
  hosts.answered('http://a')
  expect(hosts.waitMs('http://a')).toBe(30_000)
  hosts.timedOut('http://a', 30_000)
  clock.now += 20_000
  hosts.timedOut('http://a', 10_000)
  expect(hosts.waitMs('http://a')).toBe(10_000)
  clock.now += 10_001
  expect(hosts.waitMs('http://a')).toBe(30_000)
})

it('no wait is longer than what is configured', () => {
  const { hosts } = build(2_000)
  hosts.timedOut('http://a', 2_000)
  expect(hosts.waitMs('http://a')).toBe(2_000)
})
