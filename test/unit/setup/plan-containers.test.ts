import { describe, expect, it } from 'vitest'
import { planContainers } from '../../../src/setup/plan-containers.ts'
import type { PlanInit } from '../../../src/setup/setup-types.ts'
import { MemorySetupFiles } from '../../fakes/memory-setup-files.ts'
import { PLAN_INIT } from '../../fakes/setup-inits.ts'

const MAIN = '/etc/containers/registries.conf'
const DIR = '/etc/containers/registries.conf.d'
const OURS = `${DIR}/50-shoal.conf`

function plan(texts: Record<string, string>, init: Partial<PlanInit> = {}) {
  const { files, notes } = planContainers(new MemorySetupFiles(texts), { ...PLAN_INIT, ...init })
  return {
    text: files[0]?.after.replace(/^# .*\n\n/, ''),
    paths: files.map(({ path }) => path),
    notes: notes.join('\n'),
  }
}

const entry = (lines: string[], ...mirrors: string[][]): string =>
  ['[[registry]]', ...lines, ...mirrors.flatMap((mirror) => ['[[registry.mirror]]'].concat(mirror)), ''].join('\n')
const ours = (path = ''): string[] => [`location = "127.0.0.1:5050${path}"`, 'insecure = true']
const hub = entry(['location = "docker.io"'], ours())

describe('planContainers', () => {
  it('gives Docker Hub a mirror without a path', () => {
    expect(plan({})).toEqual({ text: hub, paths: [OURS], notes: '' })
  })

  it('gives one to the registries that the agent is configured for; a port stands behind _', () => {
    const { text } = plan({}, { knownRegistries: ['a.example:5000', 'localhost:5000', 'box:5000'] })
    for (const [registry, path] of [
      ['a.example:5000', '/a.example_5000'],
      ['localhost:5000', '/localhost_5000'],
      ['box:5000', '/box_5000'],
    ]) {
      expect(text).toContain(entry([`location = "${registry}"`], ours(path)))
    }
  })

  it('names Docker Hub in the path where the agent takes no registry for another one', () => {
    const { text } = plan({}, { defaultRegistry: 'a.example', knownRegistries: ['a.example'] })
    expect(text).toBe(
      `${entry(['location = "docker.io"'], ours('/docker.io'))}\n${entry(['location = "a.example"'], ours())}`,
    )
  })

  it('keeps the settings and mirrors that registries have, ours first, since a drop-in replaces the whole of them', () => {
    const quay = [
      'prefix = "q.example/team"',
      'location = "quay.io:443/team"',
      'insecure = false',
      'mirror-by-digest-only = true',
    ]
    const mirror = ['location = "m.example"', 'insecure = true', 'pull-from-mirror = "tag-only"']
    const { text, notes } = plan({ [MAIN]: `unqualified-search-registries = ["docker.io"]\n${entry(quay, mirror)}` })
    expect(text).toBe(`${hub}\n${entry(quay, ours('/quay.io_443/team'), mirror)}`)
    expect(notes).toBe('')
  })

  it('takes the last of the files before it, and nothing from those that are no drop-ins', () => {
    const texts = {
      [MAIN]: entry(['location = "a.example"', 'insecure = true']),
      [`${DIR}/10-a.conf`]: entry(['location = "a.example"', 'insecure = false']),
      [`${DIR}/20-b.txt`]: 'no TOML',
    }
    expect(plan(texts).text).toContain(entry(['location = "a.example"', 'insecure = false'], ours('/a.example')))
  })

  it('keeps what the older form of registries.conf says', () => {
    const text = '[registries.insecure]\nregistries = ["a.example"]\n[registries.block]\nregistries = ["b.example"]\n'
    const found = plan({ [MAIN]: text }).text
    expect(found).toBe(`${hub}\n${entry(['location = "a.example"', 'insecure = true'], ours('/a.example'))}`)
  })

  it('says what to write by hand where a later file has the word, and refuses it when it was asked for', () => {
    const texts = { [`${DIR}/99-corp.conf`]: entry(['location = "a.example"']) }
    const { text, notes } = plan(texts)
    expect(text).toBe(hub)
    expect(notes).toContain('99-corp.conf')
    expect(notes).toContain(entry(['location = "a.example"'], ours('/a.example')))
    expect(() => plan(texts, { registries: ['a.example'] })).toThrow('99-corp.conf')
  })

  it('leaves registries alone that are blocked, or have the mirror first already', () => {
    const texts = {
      [MAIN]: entry(['location = "a.example"', 'blocked = true']) + entry(['location = "docker.io"'], ours()),
    }
    expect(plan(texts)).toEqual({ text: undefined, paths: [], notes: '' })
  })

  it('moves the mirror to the front', () => {
    const other = ['location = "m.example"']
    const texts = { [MAIN]: entry(['location = "docker.io"'], other, ours()) }
    expect(plan(texts).text).toBe(entry(['location = "docker.io"'], ours(), other))
  })

  it('keeps a drop-in of the same name that somebody has written', () => {
    const own = `# mine\n${entry(['location = "quay.io"'], ours('/quay.io'))}`
    expect(plan({ [OURS]: own }).text).toBe(`${own}\n${hub}`)
  })

  it.each([
    ['[[registry]]\nprefix = "*.example.com"\n', 'stands for many'],
    [entry(['location = "box"']), 'add it to origin.registries'],
    [entry(['location = "[::1]:5000"']), 'gets no mirror'],
    [entry(['location = "a.example"', 'later = 1']), 'not known: later'],
  ])('says why a registry gets no mirror: %j', (text, why) => {
    const outcome = plan({ [MAIN]: text })
    expect(outcome.text).toBe(hub)
    expect(outcome.notes).toContain(why)
  })

  it('asks a mirror with TLS for its certificate', () => {
    const mirror = { url: 'https://m.example', address: 'm.example', plainHttp: false }
    expect(plan({}, { mirror }).text).toBe(entry(['location = "docker.io"'], ['location = "m.example"']))
  })

  it.each(['[[registry]\n', 'registry = 1\n'])('refuses the file %j, and names it', (text) => {
    expect(() => plan({ [`${DIR}/10-a.conf`]: text })).toThrow(`${DIR}/10-a.conf`)
  })

  it('keeps beside a named file what is in its folder and above it', () => {
    const file = '/home/a/.config/containers/registries.conf.d/50-shoal.conf'
    const texts = { '/home/a/.config/containers/registries.conf': entry(['location = "docker.io"', 'insecure = true']) }
    expect(plan(texts, { file })).toMatchObject({
      text: entry(['location = "docker.io"', 'insecure = true'], ours()),
      paths: [file],
    })
  })
})
