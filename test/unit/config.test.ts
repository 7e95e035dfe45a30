import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'shoal-config-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function load(given: { yaml?: string; environment?: Record<string, string>; flags?: string[] }) {
  const file = join(dir, 'shoal.yaml')
  writeFileSync(file, given.yaml ?? '')
  return loadConfig({ file, environment: given.environment ?? {}, flags: given.flags ?? [] })
}

describe('loadConfig', () => {
  it('has a default for every key', () => {
    const config = load({})
    expect(config.facade.listen).toEqual({ host: '127.0.0.1', port: 5050 })
    expect(config.store.quota).toBe(50 * 2 ** 30)
    expect(config.origin.default).toBe('docker.io')
    expect(config.origin.rate).toBeUndefined()
  })

  it('lets the environment override the file, and flags the environment', () => {
    const given = {
      yaml: 'store: { quota: 1GiB, dir: /file }\nlog: { level: error }',
      environment: { SHOAL_STORE__QUOTA: '2GiB', SHOAL_LOG__LEVEL: 'warn', SHOAL_SERVICE_HOST: '10.0.0.1' },
      flags: ['log.level=debug'],
    }
    const config = load(given)
    expect(config.store).toMatchObject({ quota: 2 * 2 ** 30, dir: '/file' })
    expect(config.log.level).toBe('debug')
  })

  it('takes names of this host, in any case and with all under one', () => {
    const hosts = '{ hosts: [Node-1.Example., "*.fleet.example"] }'
    const { admin, facade } = load({ yaml: `admin: ${hosts}\nfacade: ${hosts}` })
    expect(admin.hosts).toEqual(['node-1.example', '*.fleet.example'])
    expect(facade.hosts).toEqual(admin.hosts)
  })

  it('reaches keys of several words from the environment', () => {
    expect(load({ environment: { SHOAL_ORIGIN__SERVE_STALE: '90s' } }).origin.serveStale).toBe(90_000)
  })

  it('takes registries from the file, from a flag with quotes and from a flag with YAML', () => {
    const yaml = "origin: { registries: { 'a.test:5000': { plainHttp: true } } }"
    expect(load({ yaml }).origin.registries['a.test:5000']?.plainHttp).toBe(true)
    const quoted = load({ yaml, flags: ['origin.registries."b.test:5000".plainHttp=true'] })
    expect(Object.keys(quoted.origin.registries)).toEqual(['a.test:5000', 'b.test:5000'])
    const flow = load({ flags: ['origin.registries={"c.test": {mirrors: ["https://m.test"]}}'] })
    expect(flow.origin.registries['c.test']?.mirrors).toEqual(['https://m.test'])
  })

  it.each([
    ['store: { qouta: 1GiB }', 'unknown key store.qouta (did you mean store.quota?)'],
    ['stor: {}', 'unknown key stor (did you mean store?)'],
    ['origin: { registries: { a.test: { plainhttp: true } } }', 'did you mean origin.registries.a.test.plainHttp?'],
    ['store: { quota: much }', 'store.quota: expected a size'],
    ['facade: { listen: here }', 'facade.listen: expected host:port'],
    ['origin: { serveStale: soon }', 'origin.serveStale: expected a duration'],
    ['admin: { hosts: ["node-1:5053"] }', 'admin.hosts.0: expected a host name without a port'],
    ['admin: { hosts: ["*"] }', 'admin.hosts.0: expected a host name'],
    ['origin: { rate: 0 }', 'origin.rate: expected unlimited'],
    ['origin: { registries: { "a b": {} } }', 'expected a registry'],
    ['[1, 2]', 'does not hold keys and values'],
    ['a: [', 'is not YAML'],
  ])('refuses %s and says what is wrong', (yaml, message) => {
    expect(() => load({ yaml })).toThrow(message)
  })

  it('names the environment variable and the flag at fault', () => {
    expect(() => load({ environment: { SHOAL_STORE__DIR__X: '1' }, yaml: 'store: { dir: /x }' })).toThrow(
      'environment SHOAL_STORE__DIR__X: dir is not a section',
    )
    expect(() => load({ flags: ['store.quota'] })).toThrow('--set store.quota: expected key=value')
  })

  it.each([
    ['the file', {}, [], 'FILE: unknown key swarm.bootsrap (did you mean swarm.bootstrap?)'],
    ['the flag', {}, ['swarm.bootsrap=b'], '--set swarm.bootsrap: unknown key swarm.bootsrap'],
    [
      'the variable',
      { SHOAL_SWARM__BOOTSRAP: 'b' },
      [],
      'environment SHOAL_SWARM__BOOTSRAP: unknown key swarm.bootsrap',
    ],
  ])('names %s that has what is wrong', (_, environment, flags, message) => {
    const yaml = 'swarm: { bootsrap: [a] }\nadmin: { hosts: ["*"] }'
    const file = join(dir, 'shoal.yaml')
    expect(() => load({ yaml, environment, flags })).toThrow(message.replace('FILE', file))
    expect(() => load({ yaml, environment, flags })).toThrow(`${file}: admin.hosts.0: expected a host name`)
  })

  it('names the key of a flag once', () => {
    const message = 'configuration: --set facade.listen: expected host:port'
    expect(() => load({ flags: ['facade.listen=here'] })).toThrow(expect.objectContaining({ message }))
  })

  it('names the flag for a section that only the flag has', () => {
    expect(() => load({ flags: ['stor.dir=/x'] })).toThrow('--set stor.dir: unknown key stor')
  })

  it('fails on a file that was named and is not there', () => {
    expect(() => loadConfig({ file: join(dir, 'absent.yaml'), environment: {}, flags: [] })).toThrow('absent.yaml')
  })

  it('cannot be made to pollute prototypes', () => {
    expect(() => load({ flags: ['__proto__.polluted=1'] })).toThrow('unknown key')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})
