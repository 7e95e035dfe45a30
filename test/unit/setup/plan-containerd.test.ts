import { describe, expect, it } from 'vitest'
import { planContainerd } from '../../../src/setup/plan-containerd.ts'
import type { PlanInit } from '../../../src/setup/setup-types.ts'
import { MemorySetupFiles } from '../../fakes/memory-setup-files.ts'
import { PLAN_INIT } from '../../fakes/setup-inits.ts'

const CONFIG = '/etc/containerd/config.toml'
const CERTS = '/etc/containerd/certs.d'
const READY = `version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "${CERTS}"\n`
const HOSTS = '[host."https://mirror.example"]\n'

function plan(texts: Record<string, string>, init: Partial<PlanInit> = {}) {
  const { files, notes } = planContainerd(new MemorySetupFiles(texts), { ...PLAN_INIT, ...init })
  const changed = files.filter(({ before, after }) => before !== after)
  return { texts: Object.fromEntries(changed.map(({ path, after }) => [path, after])), notes: notes.join('\n') }
}

const paths = (...args: Parameters<typeof plan>): string[] => Object.keys(plan(...args).texts).toSorted()

describe('planContainerd', () => {
  it('gives every registry a mirror, and writes config_path where there is none', () => {
    expect(plan({}).texts).toEqual({
      [`${CERTS}/_default/hosts.toml`]: expect.stringMatching(/^# by .*\n\n\[host\."http:\/\/127\.0\.0\.1:5050"\]/),
      [CONFIG]: expect.stringContaining(`config_path = "${CERTS}"`),
    })
  })

  it('leaves config.toml alone when it has a config_path', () => {
    expect(paths({ [CONFIG]: READY })).toEqual([`${CERTS}/_default/hosts.toml`])
  })

  it('gives the mirror to each registry that has hosts of its own: they get none from _default', () => {
    const texts = { [CONFIG]: READY, [`${CERTS}/quay.io/hosts.toml`]: HOSTS, [`${CERTS}/a_5000_/hosts.toml`]: HOSTS }
    expect(paths(texts)).toEqual(['_default', 'a_5000_', 'quay.io'].map((name) => `${CERTS}/${name}/hosts.toml`))
  })

  it('gives it only to the registries that are named, where containerd looks for them', () => {
    const texts = { [CONFIG]: READY, [`${CERTS}/a_5000_/ca.crt`]: 'x', [`${CERTS}/quay.io/hosts.toml`]: HOSTS }
    const found = paths(texts, { registries: ['a:5000', 'b:5000'] })
    expect(found).toEqual(['a_5000_', 'b:5000'].map((name) => `${CERTS}/${name}/hosts.toml`))
  })

  it('names the certificates that a folder without hosts.toml was used for', () => {
    const dir = `${CERTS}/a.example`
    const texts = {
      [CONFIG]: READY,
      [`${dir}/ca.crt`]: '',
      [`${dir}/c.cert`]: '',
      [`${dir}/c.key`]: '',
      [`${dir}/d.cert`]: '',
    }
    const text = plan(texts, { registries: ['a.example'] }).texts[`${dir}/hosts.toml`]
    expect(text).toContain('\nca = ["ca.crt"]\nclient = [["c.cert", "c.key"], ["d.cert", "d.cert"]]\n\n[host.')
    expect(plan(texts).notes).toContain('a.example has certificates but no hosts.toml')
  })

  it('follows a config_path with several folders, whose first has the new files', () => {
    const config = READY.replace(CERTS, '/a/certs:/b/certs')
    const texts = { [CONFIG]: config, '/b/certs/quay.io/hosts.toml': HOSTS }
    expect(paths(texts)).toEqual(['/a/certs/_default/hosts.toml', '/b/certs/quay.io/hosts.toml'])
  })

  it('follows imports, the last of which counts', () => {
    const texts = {
      [CONFIG]: 'version = 2\nimports = ["conf.d/*.toml", "/none.toml"]\n',
      '/etc/containerd/conf.d/a.toml': READY.replace(CERTS, '/a/certs'),
      '/etc/containerd/conf.d/b.toml': READY.replace(CERTS, '/b/certs'),
      '/etc/containerd/conf.d/c.txt': 'no TOML',
    }
    expect(paths(texts)).toEqual(['/b/certs/_default/hosts.toml'])
  })

  it('refuses a configuration with mirrors of the old form, also in an import', () => {
    const old = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."a"]\nendpoint = []\n'
    expect(() => plan({ [CONFIG]: old })).toThrow('registry.mirrors')
    const texts = { [CONFIG]: 'version = 2\nimports = ["/x.toml"]\n', '/x.toml': old }
    expect(() => plan(texts)).toThrow('/x.toml has registry.mirrors')
  })

  it('leaves config.toml alone where CRI is off, and says so', () => {
    const outcome = plan({ [CONFIG]: 'disabled_plugins = ["cri"]\n' })
    expect(Object.keys(outcome.texts)).toEqual([`${CERTS}/_default/hosts.toml`])
    expect(outcome.notes).toContain('CRI is switched off')
  })

  it("says when it ends the use of docker's folder", () => {
    expect(plan({ '/etc/docker/certs.d/a.example/ca.crt': '' }).notes).toContain('a.example')
  })

  it.each(['certs.d', ':'])('refuses the config_path %j', (configPath) => {
    expect(() => plan({ [CONFIG]: READY.replace(CERTS, configPath) })).toThrow('config_path is no folder')
  })

  it('works on the file that is named', () => {
    expect(paths({}, { file: '/x/config.toml' })).toContain('/x/config.toml')
  })
})
