import { expect, test } from 'vitest'
import { physicalBound } from '../../../scripts/fleet/physical-bound.ts'

const MIB = 1024 * 1024
const host = (mbit: number, more: { pulls?: boolean; isSeed?: boolean; downRate?: number } = {}) => ({
  upRate: mbit * 1e6,
  downRate: mbit * 1e6,
  pulls: true,
  isSeed: false,
  ...more,
})
const hosts = (count: number, up: number, down = up) =>
  Array.from({ length: count }, () => host(up, { downRate: down * 1e6 }))
const bytes = 128 * MIB

test('is the time of one download where hosts have the slowest links', () => {
  expect(physicalBound({ bytes, originRate: 100e6, hosts: hosts(16, 50) })).toBeCloseTo((bytes * 8) / 50e6, 6)
})

test('is the time of one copy where the origin has the slowest link', () => {
  expect(physicalBound({ bytes, originRate: 10e6, hosts: hosts(16, 50) })).toBeCloseTo((bytes * 8) / 10e6, 6)
})

test('is what all upload together where hosts can receive more than they can send', () => {
  const asymmetric = hosts(16, 10, 1000)
  expect(physicalBound({ bytes, originRate: 100e6, hosts: asymmetric })).toBeCloseTo((16 * bytes * 8) / 260e6, 6)
})

test('counts on seeds alone where the origin sends nothing', () => {
  const seeded = [...hosts(3, 50), host(20, { pulls: false, isSeed: true })]
  const bound = physicalBound({ bytes, originRate: 100e6, originCopies: 0, hosts: seeded })
  expect(bound).toBeCloseTo((bytes * 8) / 20e6, 6)
})

test('leaves to hosts what an origin does not send that ends after a copy', () => {
  const slow = hosts(4, 50, 1000)
  const bound = physicalBound({ bytes, originRate: 1000e6, originCopies: 1, hosts: slow })
  expect(bound).toBeCloseTo((3 * bytes * 8) / 200e6, 6)
})

test('is no less than a copy over the border of a zone', () => {
  const init = { bytes, originRate: 100e6, hosts: hosts(16, 50), borderRate: 20e6 }
  expect(physicalBound(init)).toBeCloseTo((bytes * 8) / 20e6, 6)
})

test('is an error where nobody has the image, or nobody wants it', () => {
  expect(() => physicalBound({ bytes, originRate: 100e6, originCopies: 0, hosts: hosts(4, 50) })).toThrow()
  expect(() => physicalBound({ bytes, originRate: 100e6, hosts: [host(50, { pulls: false })] })).toThrow()
})
