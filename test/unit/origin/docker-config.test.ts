import { describe, expect, it } from 'vitest'
import { DockerConfig } from '../../../src/origin/docker-config.ts'

const auth = (pair: string): string => Buffer.from(pair).toString('base64')
const parse = (config: object): DockerConfig => DockerConfig.parse(JSON.stringify(config))

describe('DockerConfig', () => {
  it('matches the exact host and port only', () => {
    const config = parse({ auths: { 'registry.example:5000': { auth: auth('me:pa:ss') } } })
    expect(config.credential('registry.example:5000')).toEqual({ kind: 'password', username: 'me', password: 'pa:ss' })
    expect(config.credential('registry.example')).toBeUndefined()
    expect(config.credential('sub.registry.example:5000')).toBeUndefined()
  })

  it.each(['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'https://registry-1.docker.io/v2/'])(
    'knows Docker Hub by the key %s',
    (key) => {
      expect(parse({ auths: { [key]: { auth: auth('me:x') } } }).credential('docker.io')).toMatchObject({
        username: 'me',
      })
    },
  )

  it('normalises keys with a scheme or a path, and prefers the bare host', () => {
    const config = parse({
      auths: { 'https://r.example/v2/': { auth: auth('long:x') }, 'r.example': { auth: auth('bare:x') } },
    })
    expect(config.credential('r.example')).toMatchObject({ username: 'bare' })
  })

  it('reads identity tokens, registry tokens and separate names', () => {
    const config = parse({
      auths: {
        identity: { auth: auth('me:'), identitytoken: 'refresh' },
        registry: { registrytoken: 'bearer' },
        separate: { username: 'me', password: 'secret' },
        empty: {},
        nothing: null,
      },
    })
    expect(config.credential('identity')).toEqual({ kind: 'identity-token', username: 'me', token: 'refresh' })
    expect(config.credential('registry')).toEqual({ kind: 'registry-token', token: 'bearer' })
    expect(config.credential('separate')).toEqual({ kind: 'password', username: 'me', password: 'secret' })
    expect(config.credential('empty')).toBeUndefined()
    expect(config.credential('nothing')).toBeUndefined()
  })

  it('asks the helper of the registry before the general store, Docker Hub under its old key', () => {
    const config = parse({ credsStore: 'desktop', credHelpers: { 'ecr.example': 'ecr-login' } })
    expect(config.helper('ecr.example')).toEqual({ name: 'ecr-login', server: 'ecr.example' })
    expect(config.helper('docker.io')).toEqual({ name: 'desktop', server: 'https://index.docker.io/v1/' })
    expect(parse({}).helper('docker.io')).toBeUndefined()
  })

  it('refuses helper names that could leave the path', () => {
    expect(() => parse({ credsStore: '../../bin/sh' })).toThrow('credsStore')
  })

  it('never quotes the file in an error', () => {
    expect(() => DockerConfig.parse('{"auths":{"x":{"auth":"c2VjcmV0"')).toThrow(/^not JSON$/)
    expect(() => parse({ auths: { x: { auth: 5 } } })).toThrow(/^unexpected content at auths$/)
  })
})
