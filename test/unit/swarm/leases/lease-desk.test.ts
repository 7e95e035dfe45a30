import { afterEach, expect, it } from 'vitest'
import type { Lease } from '../../../../src/blob/ports.ts'
import { LeaseDesk } from '../../../../src/swarm/leases/lease-desk.ts'
import { LEASE_LIMITS } from '../../../../src/swarm/leases/lease-limits.ts'
import type { LeaseMessage } from '../../../../src/swarm/protocol/wire-messages.ts'
import { onTime } from '../../../../src/util/lateness.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'

const { digest, bytes } = new TestBlob(Buffer.alloc(64 * 256 * 1024))

let desk: LeaseDesk
afterEach(() => desk.stop())

it('counts what it coordinates, what is out, and each lease that ran out once', () => {
  let now = 0
  let expired = 0
  const answers: Lease[] = []
  desk = new LeaseDesk({
    members: { self: 'self', connected: new Map() },
    clock: () => now,
    lateness: onTime,
    metrics: { leased: () => {}, leasesExpired: (chunks) => void (expired += chunks) },
    answer: (_peer, message) => void answers.push(message),
  })
  const ask: LeaseMessage = {
    type: 'lease',
    digest,
    registry: 'r.test',
    size: bytes.length,
    gaps: [{ from: 0, to: 64 }],
    fetching: [],
    most: 4,
    heard: 0,
    leaves: false,
  }
  expect([desk.size, desk.out]).toEqual([0, 0])
  desk.asked('a', ask)
  const [granted] = answers
  expect(granted?.ranges).not.toEqual([])
  expect(desk.size).toBe(1)
  const out = desk.out
  expect(out).toBeGreaterThan(0)
  now += LEASE_LIMITS.maxLeaseMs + LEASE_LIMITS.memberMs + 1
  desk.asked('b', { ...ask, most: 0 })
  expect(expired).toBe(out)
  expect(desk.out).toBe(0)
  desk.asked('b', { ...ask, most: 0 })
  expect(expired).toBe(out)
})
