import { describe, expect, it } from 'vitest'
import { RegistryEndpoints, type RegistrySettings } from '../../../src/origin/registry-endpoint.ts'

function endpoints(allow: string[], registries: Record<string, RegistrySettings> = {}): RegistryEndpoints {
  return new RegistryEndpoints({ allow, registries: new Map(Object.entries(registries)) })
}

const bases = (of: RegistryEndpoints, registry: string): string[] => of.of(registry).map((one) => one.base.href)

describe('RegistryEndpoints', () => {
  it('knows where Docker Hub is, and speaks https unless told otherwise', () => {
    const all = endpoints(['*'], { 'plain.example:5000': { plainHttp: true } })
    expect(bases(all, 'docker.io')).toEqual(['https://registry-1.docker.io/'])
    expect(bases(all, 'registry.example')).toEqual(['https://registry.example/'])
    expect(bases(all, 'plain.example:5000')).toEqual(['http://plain.example:5000/'])
  })

  it('puts mirrors before the registry and keeps their paths', () => {
    const all = endpoints(['*'], { 'docker.io': { mirrors: ['http://cache:5000', 'https://m.example/hub'] } })
    expect(bases(all, 'docker.io')).toEqual([
      'http://cache:5000/',
      'https://m.example/hub/',
      'https://registry-1.docker.io/',
    ])
    expect(all.named()).toEqual(new Set(['cache:5000', 'm.example:443', 'registry-1.docker.io:443']))
  })

  it.each([
    ['*', 'anything.example:1'],
    ['*.example.com', 'a.b.example.com'],
    ['*.example.com', 'r.example.com:5000'],
    ['registry.example', 'registry.example:5000'],
    ['registry.example:5000', 'registry.example:5000'],
    ['Docker.IO', 'docker.io'],
  ])('the allow-list %s has %s in it', (glob, registry) => {
    expect(endpoints([glob]).of(registry)).toHaveLength(1)
  })

  it.each([
    ['*.example.com', 'example.com'],
    ['*.example.com', 'xexample.com'],
    ['registry.example', 'registryxexample'],
    ['registry.example:5000', 'registry.example:5001'],
    ['registry.example:5000', 'registry.example'],
    ['docker.io', 'docker.io.evil.example'],
  ])('the allow-list %s has %s not in it', (glob, registry) => {
    expect(() => endpoints([glob]).of(registry)).toThrow(expect.objectContaining({ code: 'REGISTRY_NOT_ALLOWED' }))
  })
})
