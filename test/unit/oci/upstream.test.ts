import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { resolveRegistry, resolveRepository, type UpstreamRules } from '../../../src/oci/upstream.ts'

const RULES: UpstreamRules = { defaultRegistry: 'docker.io', registries: new Set(['registry:5000', 'my_reg:443']) }

describe('resolveRepository', () => {
  it.each([
    ['busybox', undefined, 'docker.io', 'library/busybox'],
    ['library/busybox', undefined, 'docker.io', 'library/busybox'],
    ['me/app', undefined, 'docker.io', 'me/app'],
    ['busybox', 'docker.io', 'docker.io', 'library/busybox'],
    ['busybox', 'registry-1.docker.io', 'docker.io', 'library/busybox'],
    ['team/app', '10.99.0.1:5001', '10.99.0.1:5001', 'team/app'],
    ['app', 'Reg.Test', 'reg.test', 'app'],
    ['app', '[::1]:5000', '[::1]:5000', 'app'],
    ['ghcr.io/team/app', undefined, 'ghcr.io', 'team/app'],
    ['docker.io/busybox', undefined, 'docker.io', 'library/busybox'],
    ['localhost/app', undefined, 'localhost', 'app'],
    ['localhost:5000/app', undefined, 'localhost:5000', 'app'],
    ['reg.test:5000/a/b', undefined, 'reg.test:5000', 'a/b'],
    ['reg.test_5000/a/b', undefined, 'reg.test:5000', 'a/b'],
    ['10.0.0.1_5000/a', undefined, '10.0.0.1:5000', 'a'],
    ['localhost_5000/a', undefined, 'localhost:5000', 'a'],
    ['registry_5000/a', undefined, 'registry:5000', 'a'],
    ['registry_5001/a', undefined, 'docker.io', 'registry_5001/a'],
    ['registry/a', undefined, 'docker.io', 'registry/a'],
    ['app.v2', undefined, 'docker.io', 'library/app.v2'],
    ['ghcr.io/app', 'quay.io', 'quay.io', 'ghcr.io/app'],
  ])('takes %s with ns %s for %s/%s', (name, ns, registry, repository) => {
    expect(resolveRepository(name, ns, RULES)).toEqual({ registry, name: repository })
  })

  it.each([
    ['App', undefined],
    ['a/B', undefined],
    ['reg.test/', undefined],
    ['reg.test:99999/a', undefined],
    ['reg.test_0/a', undefined],
    ['a..b/c', undefined],
    ['a', ''],
    ['a', 'reg.test/x'],
    ['a', 'reg..test'],
    ['a', 'user@reg.test'],
    ['a', 'reg.test:0'],
    ['reg.test:5000/a', 'docker.io'],
    ['a'.repeat(256), undefined],
  ])('refuses %s with ns %s', (name, ns) => {
    expect(() => resolveRepository(name, ns, RULES)).toThrow(expect.objectContaining({ code: 'NAME_INVALID' }))
  })

  it('either gives a checked repository or throws a client error, for any input', () => {
    const check = (): void =>
      fc.assert(
        fc.property(fc.string(), fc.option(fc.string(), { nil: undefined }), (name, ns) => {
          try {
            const repository = resolveRepository(name, ns, RULES)
            return /^[a-z0-9._/-]+$/.test(repository.name) && !/[/\s@\\]/.test(repository.registry)
          } catch (error) {
            return error instanceof ShoalError && error.meaning.status === 400
          }
        }),
        { numRuns: 2_000 },
      )
    expect(check).not.toThrow()
  })
})

describe('resolveRegistry', () => {
  it('is the default without ns, and the one that ns names with it', () => {
    expect(resolveRegistry(undefined, RULES)).toBe('docker.io')
    expect(resolveRegistry('Index.docker.io', RULES)).toBe('docker.io')
    expect(resolveRegistry('reg.test:5000', RULES)).toBe('reg.test:5000')
  })
})
