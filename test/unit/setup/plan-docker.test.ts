import { describe, expect, it } from 'vitest'
import { planDocker } from '../../../src/setup/plan-docker.ts'
import type { PlanInit } from '../../../src/setup/setup-types.ts'
import { MemorySetupFiles } from '../../fakes/memory-setup-files.ts'
import { PLAN_INIT } from '../../fakes/setup-inits.ts'

const CERTS = '/etc/docker/certs.d'

function plan(texts: Record<string, string>, init: Partial<PlanInit> = {}): Record<string, string> {
  const { files } = planDocker(new MemorySetupFiles(texts), { ...PLAN_INIT, ...init })
  return Object.fromEntries(files.map(({ path, after }) => [path, after]))
}

describe('planDocker', () => {
  it('writes daemon.json, or the file that is named', () => {
    expect(Object.keys(plan({}))).toEqual(['/etc/docker/daemon.json'])
    expect(Object.keys(plan({}, { file: '/x.json' }))).toEqual(['/x.json'])
  })

  it('writes hosts.toml for other registries, and leaves daemon.json alone then', () => {
    const texts = { '/etc/docker/daemon.json': '{ "insecure-registries": ["a.example:5000"] }' }
    const found = plan(texts, { registries: ['a.example:5000', 'quay.io'] })
    expect(Object.keys(found)).toEqual([`${CERTS}/a.example:5000/hosts.toml`, `${CERTS}/quay.io/hosts.toml`])
    expect(found[`${CERTS}/a.example:5000/hosts.toml`]).toContain(
      'server = "http://a.example:5000"\nskip_verify = true\n',
    )
    expect(found[`${CERTS}/quay.io/hosts.toml`]).not.toContain('server')
  })

  it.each(['_default', 'docker.io'])(
    "goes into Docker Hub's hosts of %s: they exclude what daemon.json has",
    (name) => {
      const texts = { [`${CERTS}/${name}/hosts.toml`]: '[host."https://a"]\n', [`${CERTS}/quay.io/hosts.toml`]: '' }
      expect(Object.keys(plan(texts))).toEqual(['/etc/docker/daemon.json', `${CERTS}/${name}/hosts.toml`])
    },
  )
})
