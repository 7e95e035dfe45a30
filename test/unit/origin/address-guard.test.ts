import { describe, expect, it } from 'vitest'
import { hasCode } from '../../../src/errors.ts'
import { AddressGuard, guardLookup, isForbiddenAddress } from '../../../src/origin/address-guard.ts'

describe('isForbiddenAddress', () => {
  it.each([
    '169.254.169.254',
    '169.254.0.1',
    '0.0.0.0',
    '0.1.2.3',
    '100.100.100.200',
    '192.0.0.192',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'ff02::1',
    'fd00:ec2::254',
  ])('forbids %s', (address) => {
    expect(isForbiddenAddress(address)).toBe(true)
  })

  it.each(['127.0.0.1', '10.0.0.1', '192.168.1.1', '192.0.0.193', '100.100.100.201', '::1', 'fd00::1', 'name.example'])(
    'allows %s',
    (address) => {
      expect(isForbiddenAddress(address)).toBe(false)
    },
  )
})

describe('AddressGuard', () => {
  const guard = new AddressGuard({ exempt: new Set(['169.254.1.1:5000']) })

  it.each([
    'http://169.254.169.254/',
    'https://[fe80::1]/',
    'http://2852039166/',
    'http://0xa9fea9fe/',
    'http://[::]/',
  ])('refuses %s in whatever way it is written', (url) => {
    expect(() => guard.check(new URL(url))).toThrow(expect.objectContaining({ code: 'ADDRESS_NOT_ALLOWED' }))
  })

  it('exempts exactly the host and port of the configuration', () => {
    expect(() => guard.check(new URL('http://169.254.1.1:5000/v2/'))).not.toThrow()
    expect(() => guard.check(new URL('http://169.254.1.1:5001/v2/'))).toThrow()
  })
})

describe('guardLookup', () => {
  const resolve = (host: string, all: boolean): Promise<unknown> =>
    new Promise((done, fail) => {
      guardLookup()(host, { all }, (error, address) => (error === null ? done(address) : fail(error)))
    })

  it('gives allowed addresses in both forms', async () => {
    expect(await resolve('127.0.0.1', false)).toBe('127.0.0.1')
    expect(await resolve('127.0.0.1', true)).toEqual([{ address: '127.0.0.1', family: 4 }])
  })

  it('drops the forbidden ones among several', () => {
    expect.assertions(1)
    const addresses = [
      { address: 'fe80::1', family: 6 },
      { address: '10.0.0.1', family: 4 },
    ]
    const lookup = guardLookup((_, __, callback) => callback(null, addresses))
    lookup('two.example', { all: true }, (error, found) => {
      expect([error, found]).toEqual([null, [{ address: '10.0.0.1', family: 4 }]])
    })
  })

  it('fails with a code of ours when no address is left', async () => {
    const error = await resolve('169.254.169.254', true).catch((thrown: unknown) => thrown)
    expect(hasCode(error, 'ADDRESS_NOT_ALLOWED')).toBe(true)
  })
})
