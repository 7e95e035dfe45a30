import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from '../../src/config.ts'
import { readSecret, readSecrets } from '../../src/config-swarm.ts'
import { ShoalError } from '../../src/errors.ts'

const SECRET = '0123456789abcdef0123456789abcdef'
const PEER = '12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X'

const swarm = (section: object) => parseConfig({ swarm: section }).swarm
const load = (given: { environment?: Record<string, string>; flags?: string[]; file?: string }) =>
  loadConfig({ file: given.file ?? '/dev/null', environment: given.environment ?? {}, flags: given.flags ?? [] }).swarm

describe('the section swarm', () => {
  it('has a default for every key', () => {
    expect(swarm({})).toEqual({
      enabled: true,
      listen: { host: '0.0.0.0', port: 5051 },
      lane: { host: '0.0.0.0', port: 5052 },
      advertise: [],
      allowPeers: [],
      open: false,
      bootstrap: [],
      mdns: false,
      zone: '',
      uploadRate: undefined,
      downloadRate: undefined,
      headStart: 10,
      holdBack: 10_000,
      shareTags: true,
      prewarm: true,
    })
  })

  it('takes lists from the environment as a text with commas, and as YAML', () => {
    const bootstrap = (text: string) => load({ environment: { SHOAL_SWARM__BOOTSTRAP: text } }).bootstrap
    expect(bootstrap('seed.test, [fe80::1]:5051,10.0.0.7')).toEqual(['seed.test', '[fe80::1]:5051', '10.0.0.7'])
    expect(bootstrap('[::1]:5051')).toEqual(['[::1]:5051'])
    expect(bootstrap('[a.test, "b.test:1"]')).toEqual(['a.test', 'b.test:1'])
    expect(bootstrap('')).toEqual([])
  })

  it.each([
    'seed',
    'seed.example.com.',
    'shoal_headless.default.svc.cluster.local:5051',
    '10.0.0.7',
    '10.0.0.7:6000',
    '[::1]',
    '[2001:db8::1]:5051',
    '/ip4/10.0.0.7/tcp/5051',
    '/ip6/::1/tcp/5051',
    '/dns/seed.test/tcp/5051',
    `/dns4/seed.test/tcp/5051/p2p/${PEER}`,
  ])('takes %s as the address of an agent', (entry) => {
    expect(swarm({ bootstrap: [entry], advertise: [entry] })).toMatchObject({ bootstrap: [entry], advertise: [entry] })
  })

  it.each([
    '10.0.0.256',
    '1.2.3',
    '::1',
    'fe80::1:5051',
    'seed:0',
    'seed:70000',
    'seed:',
    ':5051',
    'http://seed.test',
    'a b',
    '-x.test',
    'a..b',
    'a'.repeat(254),
    '/ip4/10.0.0.7',
    '/ip4/seed.test/tcp/5051',
    '/ip4/10.0.0.7/tcp/0',
    '/ip4/10.0.0.7/udp/5051/quic-v1',
    '/ip4/10.0.0.7/tcp/5051/p2p/nobody',
    '/dns4/10.0.0.7/tcp/5051',
    '[seed.test]:5051',
    '',
  ])('refuses %s as the address of an agent, and names the entry', (entry) => {
    expect(() => swarm({ bootstrap: ['good.test', entry] })).toThrow('swarm.bootstrap.1: expected host, host:port or')
  })

  it('takes every address and every name with every port, and bears any text', () => {
    const takes = (entry: string): boolean => swarm({ bootstrap: [entry] }).bootstrap[0] === entry
    const port = fc.integer({ min: 1, max: 65_535 })
    const properties = [
      fc.property(fc.ipV4(), port, (host, port) => takes(host) && takes(`${host}:${port}`)),
      fc.property(fc.ipV6(), port, (host, port) => takes(`[${host}]`) && takes(`[${host}]:${port}`)),
      fc.property(fc.domain(), port, (host, port) => takes(host) && takes(`${host}:${port}`)),
    ]
    for (const property of properties) expect(() => fc.assert(property)).not.toThrow()
    const anything = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[/[\]:.a-f0-9p-]{0,300}$/))
    const isTakenOrRefused = (entry: string): boolean => {
      try {
        return takes(entry)
      } catch (error) {
        return error instanceof ShoalError
      }
    }
    expect(() => fc.assert(fc.property(anything, isTakenOrRefused))).not.toThrow()
  })

  it.each<[object, string]>([
    [{ listen: 'somewhere:5051' }, 'swarm.listen: expected an IP address and a port'],
    [
      { allowPeers: ['QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKpgZB'] },
      'swarm.allowPeers.0: expected the id of an agent',
    ],
    [{ bootstraps: [] }, 'did you mean swarm.bootstrap?'],
    [{ zone: 'a\u001b[2J' }, 'swarm.zone: expected printable ASCII'],
    [{ headStart: 'soon' }, 'swarm.headStart: expected a duration'],
    [{ uploadRate: 0 }, 'swarm.uploadRate: expected unlimited'],
    [{ secret: SECRET, secretFile: '/x' }, 'swarm.secret: there is a secretFile as well'],
    [{ secret: SECRET, open: true }, 'swarm.open: is for a swarm that anybody may join'],
    [{ allowPeers: [PEER], open: true }, 'swarm.open: is for a swarm that anybody may join'],
    [{ secret: 'fifteen letters' }, 'at least 16 characters; make one with: openssl rand -hex 32'],
    [{ secret: `two\nlines of sixteen` }, 'a secret is one line'],
    [{ secret: 'x'.repeat(5000) }, 'too long for a secret'],
  ])('refuses %o and says what is wrong', (section, message) => {
    expect(() => swarm(section)).toThrow(message)
  })

  it('takes a secret or a zone of digits as it was written', () => {
    const digits = '12345678901234567890123456789012'
    const environment = { SHOAL_SWARM__SECRET: digits, SHOAL_SWARM__ZONE: '1e3' }
    const fromEnvironment = load({ environment })
    expect(fromEnvironment.secret?.reveal()).toBe(digits)
    expect(fromEnvironment.zone).toBe('1e3')
    expect(load({ flags: [`swarm.secret=${digits}`] }).secret?.reveal()).toBe(digits)
  })
})

describe('the secret', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'shoal-secret-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))
  const read = (content: string) => {
    const secretFile = join(dir, 'secret')
    writeFileSync(secretFile, content)
    return readSecret(swarm({ secretFile }))
  }

  it('comes from the configuration or from the file, without the line break at its end', () => {
    expect(readSecret(swarm({}))).toBeUndefined()
    expect(readSecret(swarm({ secret: `${SECRET}\n` }))?.reveal()).toBe(SECRET)
    expect(read(`${SECRET}\r\n`)?.reveal()).toBe(SECRET)
    expect(read(` ${SECRET} `)?.reveal()).toBe(` ${SECRET} `)
  })

  it.each([
    ['', 'at least 16 characters; make one with: openssl rand -hex 32'],
    ['fifteen letters\n', 'at least 16 characters'],
    [`${SECRET}\n${SECRET}\n`, 'a secret is one line'],
    ['x'.repeat(10_000), 'too long for a secret'],
  ])('is refused when the file holds %j', (content, message) => {
    expect(() => read(content)).toThrow(message)
  })

  it('may be followed by the one before it, as long as that counts too', () => {
    const file = (name: string, content: string): string => {
      writeFileSync(join(dir, name), content)
      return join(dir, name)
    }
    const secretFile = file('secret', `${SECRET}\n`)
    const previousSecretFile = file('previous', 'the one that was used before\n')
    const texts = (section: object): string[] => readSecrets(swarm(section)).map((secret) => secret.reveal())
    expect(texts({})).toEqual([])
    expect(texts({ secretFile })).toEqual([SECRET])
    expect(texts({ secretFile, previousSecretFile })).toEqual([SECRET, 'the one that was used before'])
    expect(texts({ secret: 'a secret in the file', previousSecretFile })).toHaveLength(2)
    expect(texts({ secretFile, previousSecretFile: secretFile })).toEqual([SECRET])
    expect(() => texts({ secretFile, previousSecretFile: file('short', 'x') })).toThrow('swarm.previousSecretFile')
    expect(() => swarm({ previousSecretFile })).toThrow('there is no secret that follows it')
  })

  it('is refused when the file is not there, no file, or has no end', () => {
    expect(() => readSecret(swarm({ secretFile: join(dir, 'absent') }))).toThrow('swarm.secretFile')
    expect(() => readSecret(swarm({ secretFile: dir }))).toThrow('it cannot be read')
    expect(() => readSecret(swarm({ secretFile: '/dev/zero' }))).toThrow('too long for a secret')
  })

  it('is in no error and in nothing that prints the configuration', () => {
    const shown = inspect(parseConfig({ swarm: { secret: SECRET } }), { depth: 9 })
    expect(shown).toContain('***')
    expect(shown).not.toContain(SECRET)
    expect(JSON.stringify(parseConfig({ swarm: { secret: SECRET } }))).not.toContain(SECRET)
    const broken = join(dir, 'broken.yaml')
    writeFileSync(broken, `swarm:\n  secret: "${SECRET}\n  zone: [`)
    for (const attempt of [
      () => swarm({ secret: SECRET, open: true }),
      () => swarm({ secret: { [SECRET]: 1 } }),
      () => swarm({ secret: SECRET.slice(0, 8) }),
      () => load({ flags: [`swarm.secret.deep=${SECRET}`, 'swarm.secret=1'] }),
      () => load({ flags: ['swarm.zone=a', `swarm.zone.secret=${SECRET}`] }),
      () => load({ file: broken }),
    ]) {
      expect(attempt).toThrow('configuration')
      expect(attempt).not.toThrow(SECRET.slice(0, 8))
    }
  })
})
