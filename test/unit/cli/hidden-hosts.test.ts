import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HiddenHosts } from '../../../src/cli/support/hidden-hosts.ts'

function hidden(text: string, key = ''): string {
  const hosts = new HiddenHosts()
  hosts.learn(text, key)
  return hosts.hide(text)
}

// A mark is random hex, so what must not be seen is looked for beside the marks.
function marksAsH(text: string): string {
  return text.replaceAll(/host-[0-9a-f]{8}/g, 'H')
}

describe('hosts in a support bundle', () => {
  it.each([
    'https://registry.acme.test/v2/',
    'http://acme:5000/v2/ does not answer',
    'http://user@acme.test:8080',
    '/dns4/acme.internal/tcp/5051/p2p/12D3KooWxy',
    'registry.acme.test:5000: does not answer',
    'cannot pull acme.test:5000/name-0123abcd',
    'cannot pull registry.acme.test/name-0123abcd',
    'getaddrinfo ENOTFOUND acme',
    'connect ECONNREFUSED 10.77.0.9:5000',
    '"[fd00:77::9]:5051"',
    '/ip6/fd00:77::9/tcp/5051',
  ])('are hidden in %j', (text) => {
    expect(marksAsH(hidden(text))).toMatch(/H/)
    expect(marksAsH(hidden(text))).not.toMatch(/acme|77/)
  })

  it.each(['acme', 'acme.test:5000', '*.acme.test', 'acme.test', '10.77.0.9:5051,acme:5051', 'fd00:77::9'])(
    'are hidden where a key says that %j is one',
    (text) => {
      const hosts = new HiddenHosts()
      hosts.learn(text, 'bootstrap')
      expect(marksAsH(hosts.hide(JSON.stringify({ bootstrap: text })))).not.toMatch(/acme|77/)
    },
  )

  it('are hidden everywhere once they were seen somewhere, as keys too, with the same mark', () => {
    const hosts = new HiddenHosts()
    hosts.learn('registry.acme.test', 'registry')
    hosts.learn('acme', 'host')
    const text = hosts.hide(
      '{"registry.acme.test:5000":{}} Registry.Acme.test is slow; acme:5000, acme-tools, http://acme/',
    )
    const marks = text.match(/host-\w{8}/g)
    expect(marks).toHaveLength(4)
    expect(new Set(marks).size).toBe(2)
    expect(marksAsH(text)).toBe('{"H:5000":{}} H is slow; H:5000, acme-tools, http://H/')
  })

  it('are found in JSON, in lists and as registries that have settings', () => {
    const hosts = new HiddenHosts()
    const config = {
      origin: { registries: { acme: {}, 'r.acme.test': {} } },
      swarm: { bootstrap: ['b.acme.test', 'c1'] },
    }
    hosts.learnJson(config)
    const { origin } = JSON.parse(marksAsH(hosts.hide(JSON.stringify(config)))) as typeof config
    expect(Object.keys(origin.registries)).toEqual(['acme', 'H'])
    expect(marksAsH(hosts.hide('b.acme.test, http://acme/v2/, c1:5051'))).toBe('H, http://H/v2/, H:5051')
  })

  it('leave words that merely are like them', () => {
    const hosts = new HiddenHosts()
    hosts.learn('shoal', 'bootstrap')
    hosts.learn('registry', 'registry')
    const text = '{"shoal": "0.1.0"} the registry answers; shoal_build_info 1; bootstrap: registry.example.org'
    expect(hosts.hide(text)).toBe(text)
  })

  it.each([
    'https://registry-1.docker.io/v2/ and ghcr.io:443',
    '{"facade":["127.0.0.1:5050","[::1]:5050"],"swarm":["0.0.0.0:5051","[::]:5051"]}',
    'at file:///usr/lib/shoal/src/agent.ts:389:41',
    'shoal 0.1.0, node v24.1.0, 2026-11-21T22:13:55.673Z, 12:34:56',
    '/var/lib/shoal/blobs/sha256/ab',
    'shoal_lane_connections{direction="in"} 3',
    'sha256:0123456789abcdef',
  ])('are not seen in %j', (text) => {
    expect(hidden(text)).toBe(text)
  })

  it('are hidden in any text in little time, and none of what was learned is left', () => {
    const part = fc.constantFrom(
      'acme.test',
      '10.1.2.3',
      ':',
      '/',
      '//',
      'http:',
      '.',
      '-',
      'a',
      '5000',
      '[',
      ']',
      '"',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        const hosts = new HiddenHosts()
        hosts.learn('acme.test', 'host')
        const text = ` ${parts.join('')} acme.test `
        hosts.learn(text)
        expect(hosts.hide(text)).not.toMatch(/ acme\.test /)
      }),
    )
    const begun = performance.now()
    hidden(`${'a.'.repeat(20_000)} ${'a:'.repeat(20_000)} http://${'a'.repeat(20_000)} ${'1.'.repeat(10_000)}`)
    expect(performance.now() - begun).toBeLessThan(1_000)
  })
})
