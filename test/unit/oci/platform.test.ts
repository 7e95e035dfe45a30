import { describe, expect, it } from 'vitest'
import { parseDigest } from '../../../src/oci/digest.ts'
import type { ChildManifest } from '../../../src/oci/manifest.ts'
import { chooseForPlatform, formatPlatform, parsePlatform } from '../../../src/oci/platform.ts'

/** An index of these platforms; `-` for one that names none. */
function indexOf(...platforms: string[]): ChildManifest[] {
  return platforms.map((text, index) => ({
    digest: parseDigest(`sha256:${index.toString(16).padStart(64, '0')}`),
    platform:
      text === '-' ? undefined : text === 'unknown' ? { os: 'unknown', architecture: 'unknown' } : parsePlatform(text),
  }))
}

function chosen(wanted: string, ...platforms: string[]): number {
  const children = indexOf(...platforms)
  const child = chooseForPlatform(children, parsePlatform(wanted))
  return child === undefined ? -1 : children.indexOf(child)
}

describe('a platform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['Linux/x86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm/v7', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/armhf/v7', 'linux/arm/v7'],
  ])('%s is %s', (text, plain) => {
    expect(formatPlatform(parsePlatform(text))).toBe(plain)
  })

  it.each([
    '',
    'linux',
    'linux/',
    '/amd64',
    'linux/amd64/v1/x',
    'linux amd64',
    'linux/am d64',
    `linux/${'x'.repeat(99)}`,
  ])('is not %j', (text) => {
    expect(() => parsePlatform(text)).toThrow('not a platform')
  })
})

describe('of an index', () => {
  it.each([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], 1],
    ['linux/amd64', ['linux/amd64/v3', 'linux/amd64'], 1],
    ['linux/amd64', ['linux/amd64/v3'], 0],
    ['linux/amd64/v2', ['linux/amd64/v3'], -1],
    ['linux/arm64', ['linux/arm64/v8'], 0],
    ['linux/arm64/v8', ['linux/arm64'], 0],
    ['linux/arm', ['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7'], 2],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v5'], 1],
    ['linux/arm/v5', ['linux/arm/v7'], -1],
    ['linux/s390x', ['linux/amd64', 'unknown'], -1],
    ['linux/s390x', ['linux/amd64', '-'], 1],
    ['windows/amd64', ['linux/amd64', 'windows/amd64', 'windows/amd64'], 1],
    ['linux/amd64', [], -1],
  ] as const)('%s takes of %j number %i', (wanted, platforms, index) => {
    expect(chosen(wanted, ...platforms)).toBe(index)
  })
})
